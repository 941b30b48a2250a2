"Verdicts a second on this machine: `python tests/bench_verify.py`, or the table of `make bench`."

import random, time
from synthrl.verify import Verdict, judge, judge_all


def worked(r, answer, mark="#### {}"):
    "A solution of ordinary length that ends on its answer."
    steps = [
        f"She has {r.randint(2, 90)} boxes with {r.randint(2, 90)} pens in each, "
        f"which makes {r.randint(2, 900)} * {r.randint(2, 9)} = {r.randint(4, 8000)} pens."
        for _ in range(4)
    ]
    return "\n".join([*steps, mark.format(answer)])


def numbers(r, n):
    "(completion, label) in the ways that models write numbers; half of them right."
    marks = [
        "#### {}",
        "#### ${}",
        r"\boxed{{{}}}",
        "A: {}",
        "The answer is {}.",
        "**Answer:** {}",
        "So that is {} in all.",
    ]
    answers = [r.randint(1, 5000) for _ in range(n)]
    return [(worked(r, a if r.random() < 0.5 else a + 1, r.choice(marks)), str(a)) for a in answers]


def choices(r, n):
    marks = [
        "<think>It is not the first one.</think> <answer>{}</answer>",
        "The answer is ({}).",
        r"\boxed{{\text{{{}}}}}",
        "**{}**",
        "Answer: {}. The other one",
    ]
    return [(worked(r, r.choice("ABCD"), r.choice(marks)), r.choice("ABCD")) for _ in range(n)]


def formulas(r, n):
    "(completion, label): numbers, fractions, roots, polynomials; one in ten only sympy can settle."
    k = lambda: r.randint(2, 999)

    def pair():
        a, b, c = k(), k(), k()
        return r.choice(
            [
                (f"{a}", f"{a}.0"),
                (f"\\frac{{{a}}}{{{b}}}", f"{a}/{b}"),
                (
                    f"\\dfrac{{{2 * a}}}{{{2 * b}}}",
                    f"\\frac{a}{b}" if a < 10 and b < 10 else f"\\frac{{{a}}}{{{b}}}",
                ),
                (f"{a}\\sqrt{{{4 * b}}}", f"{2 * a}\\sqrt{{{b}}}"),
                (f"(x+{a})(x-{b})", f"x^2 + {a - b}x - {a * b}"),
                (f"x = {a}\\pi", f"{a}\\pi"),
                (f"{a} + {b}i", f"{b}i + {a}"),
                (f"\\frac{{{a}x + {b}}}{{{c}}}", f"\\frac{{{b}}}{{{c}}} + \\frac{{{a}x}}{{{c}}}"),
                (f"2^{{{a % 20}}}", f"{2 ** (a % 20)}"),
                r.choice(
                    [
                        (f"\\{{{a}, {b}\\}}", f"\\{{{b}, {a}\\}}"),
                        (f"[{a}, {b})", f"[{a},{b}]"),
                        (f"x^2 + y^2 = {a}", f"y^2 + x^2 = {a}"),
                        (f"\\binom{{{a}}}{{2}}", str(a * (a - 1) // 2)),
                    ]
                ),
            ]
        )

    return [
        (worked(r, p, r.choice([r"\boxed{{{}}}", "The answer is ${}$.", "<answer>{}</answer>"])), l)
        for p, l in (pair() for _ in range(n))
    ]


def rate(kind, pairs, rounds=3):
    "Verdicts a second, the best of some rounds on pairs that no round has seen before."

    def once(part):
        start = time.perf_counter()
        verdicts = judge_all(kind, [p for p, _ in part], [l for _, l in part])
        assert Verdict.unparseable not in verdicts and Verdict.timed_out not in verdicts
        return len(part) / (time.perf_counter() - start)

    n = len(pairs) // rounds
    return max(once(pairs[i * n : (i + 1) * n]) for i in range(rounds))


def bench() -> list:
    "(name, figure, bar) for each table row."
    r = random.Random(0)
    judge("math", r"\int x", "1")
    return [
        ("verdicts a second, number", rate("number", numbers(r, 30_000)), 50_000),
        ("verdicts a second, choice", rate("choice", choices(r, 30_000)), 50_000),
        ("verdicts a second, math", rate("math", formulas(r, 3_000)), 500),
    ]


if __name__ == "__main__":
    for name, figure, bar in bench():
        print(f"{name:30} {figure:>12,.0f}   bar {bar:,}")
