"One-step-wrong versions of right answers: a digit, sign, exponent, unit, bracket or element changed."

import cmath, random, re, zlib
from pathlib import Path

here = Path(__file__).parent
token = re.compile(r"\\[A-Za-z]+|\\.|\d+|[A-Za-z]|\s+|.", re.S)
letters = "abcdgkmnpqrstuvwxyz"


def golds():
    "(group, answer) for each line of equal_golds.txt."
    group = ""
    for line in (here / "equal_golds.txt").read_text().splitlines():
        if line.startswith("# "):
            group = line[2:]
        elif line:
            yield group, line


def pick(r, s, pattern, change):
    "One match of the pattern, drawn at random, put through `change`; None where there is none."
    found = list(re.finditer(pattern, s))
    if not found:
        return None
    m = r.choice(found)
    to = change(m)
    return None if to is None else s[: m.start()] + to + s[m.end() :]


def other(r, one, of):
    return r.choice([o for o in of if o != one])


def outside(pattern):
    "The pattern, but not inside of a command's name or of \\text{}."
    return rf"(?<![\\A-Za-z])(?:{pattern})(?![A-Za-z]*\}})"


def split(s, at=","):
    "Parts between top-level commas."
    parts, deep = [""], 0
    for t in token.findall(s):
        deep += (t in "([{") - (t in ")]}") if len(t) == 1 else 0
        if t == at and not deep:
            parts.append("")
        else:
            parts[-1] += t
    return parts


def inside(s):
    "(opening, elements, closing) of a list."
    m = re.fullmatch(r"(\\left ?[(\[]|\\\{|[(\[])(.*)(\\right ?[)\]]|\\\}|[)\]])", s)
    if m and len(split(m[2])) > 1:
        return m[1], split(m[2]), m[3]
    return "", split(s), ""


def digit(r, s):
    return pick(r, s, r"\d", lambda m: other(r, m[0], "123456789"))


def digit_dropped(r, s):
    return pick(r, s, r"(?<=\d)\d|\d(?=\d)", lambda m: "")


def digit_added(r, s):
    return pick(r, s, r"(?<=\d)(?![\d.,}])|(?<=\d)(?=\d)", lambda m: r.choice("123456789"))


def last_digit(r, s):
    found = list(re.finditer(r"\d", s))
    return (
        s[: found[-1].start()] + other(r, found[-1][0], "0123456789") + s[found[-1].end() :]
        if found
        else None
    )


def sign(r, s):
    if r"\pm" in s:
        return None
    return (
        s[1:]
        if s[0] == "-" and not re.search("[-+,]", s[1:])
        else None
        if re.search(r"[-+,=<>&{]|\\[lgn]e|^[A-Za-z]{2}|text", s)
        else "-" + s
    )


def sign_inside(r, s):
    return pick(r, s, r"[-+]", lambda m: "+-"[m[0] == "+"])


def sign_added(r, s):
    return pick(
        r, s, r"(?<=[(,=&{\[])( ?)(?=[1-9])", lambda m: None if r"\pm" in s or r"\cos" in s else m[1] + "-"
    )


def plus_minus(r, s):
    return pick(r, s, r"\\pm", lambda m: r.choice("+-"))


def exponent(r, s):
    return pick(r, s, r"\^(\d)", lambda m: "^" + other(r, m[1], "23456789"))


def exponent_negated(r, s):
    return pick(
        r,
        s,
        r"\^\{(-?)([^{}]*)\}",
        lambda m: (
            None
            if "circ" in m[0]
            else "^{%s%s}"
            % ("" if m[1] else "-", m[2] if m[1] or not re.search("[-+]", m[2]) else "(" + m[2] + ")")
        ),
    )


def exponent_dropped(r, s):
    return pick(r, s, r"\^(?:\d|\{[^{}]*\})", lambda m: None if "circ" in m[0] else "")


def subscript(r, s):
    return pick(
        r,
        s,
        r"_(\w|\{\d+\})",
        lambda m: "_" + other(r, m[1], "0123456789") if len(m[1]) == 1 else f"_{{{int(m[1][1:-1]) + 1}}}",
    )


def subscript_dropped(r, s):
    return pick(r, s, r"_(\w|\{[^{}]*\})", lambda m: "")


def variable(r, s):
    return pick(
        r,
        s,
        outside("[a-zA-Z]"),
        lambda m: (
            None
            if re.search(r"\\(?:text|mbox|math)", s)
            else r.choice([l for l in letters if l not in s.lower()])
        ),
    )


def case(r, s):
    return pick(
        r,
        s,
        outside("[a-hj-zA-Z]"),
        lambda m: (
            None
            if re.search(r"\\(?:text|mbox|math)", s)
            or len(s) < 2
            or re.fullmatch(r"[\w .()-]*", s)
            and re.search("[A-Za-z]{2}|^.[A-Za-z].$", s)
            else m[0].swapcase()
        ),
    )


def swapped(r, s):
    "Two letters change places, once."
    found = [m for m in re.finditer(outside("[a-zA-Z]"), s)]
    if len({m[0] for m in found}) < 2 or re.search(r"\\(?:text|mbox|math)|[A-Za-z]{3}", s):
        return None
    a = r.choice(found)
    b = r.choice([m for m in found if m[0] != a[0]])
    a, b = sorted([a, b], key=lambda m: m.start())
    return s[: a.start()] + b[0] + s[a.end() : b.start()] + a[0] + s[b.end() :]


def greek(r, s):
    return pick(
        r,
        s,
        r"\\(alpha|beta|gamma|theta|lambda|mu|omega|phi|rho|tau|epsilon|Delta|pi)(?![a-z])",
        lambda m: "\\" + other(r, m[1], ["alpha", "beta", "gamma", "theta", "lambda", "sigma", "omega"]),
    )


def accent(r, s):
    return pick(r, s, r"\\(?:dot|ddot|vec|bar|overline)\{([^{}])\}|'", lambda m: m[1] or "")


def upside_down(r, s):
    return pick(r, s, r"\\d?frac\{([^{}]*)\}\{([^{}]*)\}", lambda m: rf"\frac{{{m[2]}}}{{{m[1]}}}")


def upside_down_slash(r, s):
    return pick(r, s, r"(\w+)/(\w+)", lambda m: f"{m[2]}/{m[1]}")


units = "cm m km mm kg g s min h hours feet mph J K W N eV dB Hz kJ A cents m/s inches".split()


def unit(r, s):
    return pick(
        r,
        s,
        r"(?<=[{ ~])(?:cm|kg|mph|min|feet|hours|m|s|km/h|N|J|K|W|eV|kJ|A|dB|cents|m/s)(?=[ }]|\Z|\^)",
        lambda m: None if not re.search(r"\d", s) else other(r, m[0], units),
    )


def unit_exponent(r, s):
    return pick(r, s, r"(?<=m\})\^(\d)", lambda m: "^" + other(r, m[1], "23"))


def base(r, s):
    return pick(
        r, s, r"(?<=[\d\w])_(\d|\{\d+\})\Z", lambda m: "_" + other(r, m[1], ["5", "6", "7", "9", "{16}"])
    )


def scientific(r, s):
    return pick(
        r,
        s,
        r"10\^\{(-?)(\d+)\}|e(-?)(\d+)",
        lambda m: f"10^{{{m[1]}{int(m[2]) + 1}}}" if m[2] else f"e{m[3]}{int(m[4]) + 1}",
    )


operators = {
    r"\cdot": "+",
    r"\times": "+",
    "/": r"\cdot ",
    r"\cup": r"\cap",
    r"\cap": r"\cup",
    r"\setminus": r"\cup",
    r"\land": r"\lor",
    "<": ">",
    ">": "<",
    r"\le": r"\ge",
    r"\ge": r"\le",
    r"\geq": r"\leq",
    r"\leq": r"\geq",
    r"\neq": "=",
    r"\ne": "=",
}


def operator(r, s):
    return pick(
        r,
        s,
        r"\\(?:cdot|times|cup|cap|setminus|land|leq?|geq?|neq)(?![a-z])|[/<>]",
        lambda m: operators[m[0]],
    )


def strict(r, s):
    return pick(
        r,
        s,
        r"\\(?:leq?|geq?)(?![a-z])|[<>]",
        lambda m: {"<": r"\le ", ">": r"\ge ", r"\le": "<", r"\ge": ">", r"\geq": ">", r"\leq": "<"}[m[0]],
    )


def bracket(r, s):
    if not re.search(r"^(?:x \\in )?(?:\\left)?[(\[][^,]*,[^,]*[)\]]", s):
        return None
    return pick(r, s, r"[()\[\]]", lambda m: {"(": "[", ")": "]", "[": "(", "]": ")"}[m[0]])


def braces_for_brackets(r, s):
    return (
        None
        if not re.fullmatch(r"\([^()]*,[^()]*\)", s)
        else rf"\{{{s[1:-1]}\}}"
        if s.count(",") > 1
        else "[" + s[1:-1] + "]"
    )


def parentheses(r, s):
    return pick(
        r,
        s,
        r"(?<=[\w})] |.[\w})^])\(([^()]*[-+][^()]*)\)|\(([^()]*[-+][^()]*)\)(?=\^)",
        lambda m: None if "left" in s else m[1] or m[2],
    )


def element_dropped(r, s):
    a, es, b = inside(s)
    if len(es) < 2:
        return None
    del es[r.randrange(len(es))]
    return a + ",".join(es).strip() + b


def element_added(r, s):
    a, es, b = inside(s)
    if len(es) < 2 and not re.fullmatch(r"-?[\d.]+|\\frac\{\d+\}\{\d+\}|.*=.*", s):
        return None
    es.insert(r.randrange(len(es) + 1), r.choice([" 77", " -19", r" \frac{1}{19}"]))
    return a + ",".join(es).strip() + b


def element_changed(r, s):
    a, es, b = inside(s)
    if len(es) < 2:
        return None
    es[r.randrange(len(es))] = r.choice([" 77", " -19", r" \frac{1}{19}"])
    return a + ",".join(es) + b


def reordered(r, s):
    a, es, b = inside(s)
    if not a or a.endswith("{") or len({e.strip() for e in es}) < 2:
        return None
    i = r.randrange(len(es))
    j = r.choice([j for j in range(len(es)) if es[j].strip() != es[i].strip()])
    es[i], es[j] = es[j], es[i]
    return a + ",".join(es) + b


others = dict(
    sin="cos",
    cos="sin",
    tan="cot",
    cot="tan",
    arctan="arcsin",
    arcsin="arccos",
    ln="sin",
    log="sin",
    sec="csc",
    max="min",
    min="max",
    gcd="max",
    sum="prod",
    prod="sum",
    lfloor="lceil",
    rfloor="rceil",
    int="sum",
)


def function(r, s):
    return pick(r, s, rf"\\({'|'.join(others)})(?![a-z])", lambda m: "\\" + others[m[1]])


def root(r, s):
    return pick(r, s, r"\\sqrt(\[\d\])?(?=\{)", lambda m: r.choice(["", r"\sqrt[5]"]))


def function_dropped(r, s):
    return pick(r, s, r"\\(?:sin|cos|tan|ln|log|arctan|arcsin|sec|cot)(?![a-z])(?!_)", lambda m: "")


def factorial(r, s):
    return pick(r, s, "!", lambda m: None if s[m.start() - 1] == "\\" else "")


def term_dropped(r, s):
    return pick(r, s, r"(?<=[\w)}]) ?[-+] ?(?:[\w^]+|\\sqrt\{\w+\}|\\pi)(?=\Z|[ )}=,])", lambda m: "")


def term_added(r, s):
    return (
        s + r.choice([" + 1", " - 3", "+x"])
        if not re.search(
            r"[,=<>]|\\(?:text|mbox|math|begin|left|[lgn]e|emptyset|cup|cap|angle|tri|in|to|equiv|p?mod|set)"
            r"|\\(?:land|neg)|[\])]\Z|^\(?[A-Za-z]{1,}\)?\Z|^[A-Za-z ]{4,}|:",
            s,
        )
        else None
    )


def factor_added(r, s):
    return (
        r.choice(["2", "3", "7"]) + s
        if re.match(r"[A-Za-z(\\]", s)
        and not re.search(
            r"[-+,=<>:]|\\(?:text|mbox|math|begin|left|[lgn]e|emptyset|cup|cap|angle|tri|in|to|equiv|p?mod|set)"
            r"|\\(?:land|neg|\{)|^\(?[A-Za-z]{1,}\)?\Z|^[A-Za-z ]{4,}",
            s,
        )
        else None
    )


def imaginary(r, s):
    return pick(r, s, r"(?<=\d)i(?![a-z])", lambda m: "")


def side_dropped(r, s):
    "One side of an equation that is not solved."
    sides = s.split("=")
    if (
        len(sides) != 2
        or re.fullmatch(
            r"[A-Za-z]\w*(?:\([a-z]\)|_.)?'?|\\?[A-Za-z{}^' ()\-1]+|\(.*\)|\\frac\{d.\}\{d.\}|\\tan.*",
            sides[0].strip(),
        )
        or "," in s
    ):
        return None
    return r.choice(sides).strip()


def left_side(r, s):
    "What was asked for, in place of what it is."
    sides = s.split("=")
    return (
        sides[0].strip()
        if len(sides) == 2
        and "," not in s
        and len(sides[1].strip()) > 1
        and not re.fullmatch("[A-Z]{2}", sides[0].strip())
        else None
    )


def equation_added(r, s):
    return (
        r.choice(["7 = ", "2 = "]) + s
        if re.search("[a-z]", s)
        and not re.search(r"[=,<>:]|\\(?:text|mbox|[lgn]e|begin|in|math|equiv)|^[A-Za-z ]{3,}", s)
        else None
    )


def name(r, s):
    return pick(r, s, r"^([a-zA-Z])(?= = ?[^=,]*\Z)", lambda m: other(r, m[0], letters))


def trailing(r, s):
    return s + r.choice([", 7", r" \text{ or } 7", r" \text{ and } 19", "; 7", r"\text{ or } x"])


def leading(r, s):
    return r.choice([r"7 \text{ or } ", "19, ", "7; "]) + s


def word(r, s):
    return pick(
        r,
        s,
        r"[A-Za-z]{3,}(?=[^\\]*\})|^[A-Za-z]{2,}\Z",
        lambda m: (
            None
            if m.start() and s[m.start() - 1] == "\\" or "begin" in s or r"\frac" in s or re.search(r"\d", s)
            else "".join(r.sample(m[0], len(m[0])))
        ),
    )


def negated(r, s):
    return (
        re.sub(r"\\text\{", r"\\text{not ", s, count=1)
        if re.match(r"\\text\{[a-z]", s)
        else "not " + s
        if re.fullmatch("[a-z ]{4,}", s)
        else None
    )


def transposed(r, s):
    m = re.search(r"\{pmatrix\} (\S+) & (\S+) \\\\ (\S+) & (\S+) ", s)
    return s.replace(m[0], rf"{{pmatrix}} {m[1]} & {m[3]} \\ {m[2]} & {m[4]} ") if m else None


def row_dropped(r, s):
    return pick(r, s, r"\\\\[^\\&]*(?=\\end)", lambda m: "")


def shifted(r, s):
    return pick(r, s, r"\d\.\d", lambda m: m[0].replace(".", "") + ".") if "%" not in s else None


kinds = [
    f
    for f in list(globals().values())
    if callable(f)
    and getattr(f, "__code__", None)
    and f.__code__.co_varnames[: f.__code__.co_argcount] == ("r", "s")
]

# ---- what happens to be equal is no wrong answer

python = [
    (r"\\d?frac ?(\d)(\d)", r"((\1)/(\2))"),
    (r"\\(?:left|right|,|!|;| )", ""),
    (r"\{,\}", ""),
    (r"(?<=\d),(?=\d{3})", ""),
    (r"\\(?:cdot|times)", "*"),
    (r"\\pi(?![a-z])", " pi "),
    (r"\^\{?\\circ\}?", "*(pi/180)"),
    (r"\\(sin|cos|tan|ln|log|arctan|arcsin) ?\(", r" \1("),
    (r"\\(sin|cos|tan|ln|log|arctan|arcsin) ?(\w)", r" \1(\2)"),
    (r"(?<!\\)\\[{}]", " @ "),
    (r"\|([^|]*)\|", r" abs(\1)"),
    (r"\\sqrt\[(\d)\]\{([^{}]*)\}", r"((\2)**(1/\1))"),
    (r"\\sqrt(\w)", r"((\1)**.5)"),
]


def numeric(s, point):
    "The value of a formula, read by another reader than the one under test; None where it cannot."
    for p, to in python:
        s = re.sub(p, to, s)
    while True:
        t = re.sub(r"\\d?frac\{([^{}]*)\}\{([^{}]*)\}", r"((\1)/(\2))", s)
        t = re.sub(r"\\sqrt\{([^{}]*)\}", r"((\1)**.5)", t)
        t = re.sub(r"\^\{([^{}]*)\}", r"**(\1)", t)
        if t == s:
            break
        s = t
    s = re.sub(r"\^(\w)", r"**\1", s)
    if re.search(r"[\\{}@&_\'!:]", s) or len(s) > 300:
        return None
    s = re.sub(r"\b(?!(?:sin|cos|tan|ln|log|arctan|arcsin|pi|abs)\b)[A-Za-z]+", lambda m: " ".join(m[0]), s)
    s = re.sub(
        r"(?<![*/+\-(,\d.])\s*(?<=[\w)])\s+(?=[\w(])|(?<=[\d)])\s*(?=[A-Za-z(])|(?<=\))\s*(?=\d)",
        "*",
        s.strip(),
    )
    s = re.sub(r"(sin|cos|tan|ln|log|arctan|arcsin|abs)\*\(", r"\1(", s)
    s = re.sub(r"\b([A-Za-z])\(", r"\1*(", s)
    names = {
        c: 0.3 + zlib.crc32(f"{c}{point}".encode()) % 997 / 500
        for c in letters + letters.upper() + "fhjlFHJLoOI"
    } | dict(
        e=cmath.e,
        i=1j,
        pi=cmath.pi,
        ln=cmath.log,
        log=cmath.log,
        sin=cmath.sin,
        cos=cmath.cos,
        tan=cmath.tan,
        arctan=cmath.atan,
        arcsin=cmath.asin,
        abs=abs,
    )
    try:
        return complex(eval(s, {"__builtins__": {}}, names))
    except Exception:
        return None


def happens(a, b):
    "Whether the two are equal as formulas, or as equations, at three points."
    if a.replace(" ", "") == b.replace(" ", ""):
        return True
    if "=" in a and "=" in b and "," not in a:
        (l, r), (m, n) = ([f"{x}-({y})" for x, y in [s.split("=", 1)]][0].rsplit("-(", 1) for s in (a, b))
        values = [(numeric(f"{l}-({r}", p), numeric(f"{m}-({n}", p)) for p in range(3)]
        if any(x is None or y is None or abs(y) < 1e-9 for x, y in values):
            return False
        ratios = [x / y for x, y in values]
        return max(abs(q - ratios[0]) for q in ratios) < 1e-9
    values = [(numeric(a, p), numeric(b, p)) for p in range(3)]
    return all(x is not None and y is not None and cmath.isclose(x, y, rel_tol=1e-13) for x, y in values)


def wrong(answers, n, seed=0):
    "(kind, gold, wrong answer): n of them, each different, none of them equal by chance."
    r, seen, found = random.Random(seed), set(), []
    for _ in range(60 * n):
        if len(found) == n:
            break
        gold, change = r.choice(answers), r.choice(kinds)
        w = change(r, gold)
        if w is None or (gold, w) in seen or not w.strip():
            continue
        seen.add((gold, w))
        if not happens(gold, w) and not excused(change.__name__, gold, w):
            found.append((change.__name__, gold, w))
    return found


def excused(kind, gold, w):
    "Not wrong, though what was changed says something."
    return (
        kind == "subscript_dropped"
        and r"\log_{10}" in gold  # the base that is left away
        or kind == "last_digit"
        and r"\prod_{k=2}" in w  # 1 is no factor
        or kind == "digit_added"
        and re.search(r"_\d\d", w)
        and not re.match(r"\d", gold)  # x_11 is x_1 with a 1 after it
        or kind in ("variable", "case")
        and re.search(r"(?<!\\)\b[a-z]{4}", gold)
        or kind == "swapped"
        and gold in ("x + y \\le 10", r"P_0 V_0 \ln 2")
        or "binom{5}{3}" in w
        or "binom{10}{7}" in w
        or r"79 \mod 12" in w
        or w == r"\$18.9"
        or kind == "swapped"
        and gold == r"\{a, b, c\}"
        or re.search(r"(?:leading|trailing)", kind)
        and re.search(r"\b(?:7|19)\b", gold)
        or kind == "left_side"
        and "e^{i" in gold
        or kind in ("case", "variable")
        and (re.search(r"\de-?\d", gold) or gold.startswith(r"x \in"))  # the same number; the same interval
        or kind == "side_dropped"
        and not re.search(r"\d", gold.split("=")[0])
    )  # x + y + z = 3, where the sum was asked for
