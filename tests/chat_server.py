"""A chat-completions server on the loopback, with faults: what the tests and the bench ask.

`python tests/chat_server.py '{"delay": 0.2}'` serves until its standard input ends; it prints its port first.
From a test: `with Server(delay=.2) as s: Teacher(..., base_url=s.url)`, then `s.log()`: what it was asked."""
import asyncio, email.utils, json, os, random, subprocess, sys, time, urllib.request
from pathlib import Path
sys.path.insert(0, str(Path(__file__).parent))
from wordings import PARAMETERS, PROMPTS, QUOTAS, RATES

# the faults that befall a share of the requests, each by its name
shares = dict(p429=0.,           # turned away
              p500=0.,           # an error
              hang=0.,           # never answered
              cut=0.,            # the body is cut off
              broken=0.,         # the body is no JSON
              drop=0.,           # the connection is closed
              empty=0.,          # no choices
              null=0.,           # content null
              refused=0.,        # content_filter
              length=0.,         # cut at max_tokens
              page=0.,           # a web page with status 200
              error_end=0.,      # broken off with finish_reason "error"
              half=0.)           # half of a surrogate pair in the text

defaults = shares | dict(
    delay=0.,                    # seconds before an answer
    retry_after='1',             # the header's text ("date:3" for a date in 3 s)
    one=False,                   # ignore `n`, as Ollama and llama.cpp do
    status=0, error=None,        # answer everything with this status and error
    unknown=(),                  # parameters that get a 400
    refuses=(), wording='openai', # parameters that are refused, and in whose words (tests/wordings.py)
    most_n=0,                    # answers to one request, at most
    bad_prompts={},              # what a prompt holds → in whose words it is refused
    quota='',                    # refuse everything in these words
    inside=False,                # say it in a body with status 200
    reasoning=0,                 # tokens of reasoning beside the completion's
    thinks=0,                    # tokens of reasoning before the answer, within max_tokens
    moved='',                    # answers only at this path, and redirects to it
    redirect=0, location='',     # status and place of a redirect
    skew=0,                      # seconds that the server's clock is wrong by
    first=0,                     # faults only among this many first requests; 0: always
    busy_above=0,                # 429 when more than this many are under way
    usage=True,                  # say how many tokens it took
    prompt_tokens=20, completion_tokens=10, seed=0)

def settings(given): return type('Settings', (), defaults | given)

class Chat:
    def __init__(self, **given):
        self.s = settings(given)
        self.log, self.under_way, self.most, self.rng = [], 0, 0, random.Random(self.s.seed)

    def over(self):
        "Are the first requests, which alone have faults, over?"
        return self.s.first and len(self.log) > self.s.first

    def fault(self):
        "Which fault befalls this request, if any."
        x = self.rng.random()
        if self.over(): return None
        for name in shares:
            x -= getattr(self.s, name)
            if x < 0: return name

    def text(self, ask, i, fault):
        "The text of choice i: the question, and the choice's seed or number."
        if fault == 'null': return None
        number = ask['seed'] + i if 'seed' in ask else i
        whole = f'{ask["messages"][-1]["content"]} | {number}'
        if fault == 'half': whole += '\ud83d'
        if fault == 'error_end': return whole[:len(whole)//2]
        return whole

    def body(self, ask, fault):
        s, n = self.s, 1 if self.s.one else ask.get('n', 1)
        most = ask.get('max_tokens') or ask.get('max_completion_tokens') or 10**9
        spent = s.thinks and most <= s.thinks
        if s.thinks: fault = 'length' if spent else fault
        finish = dict(refused='content_filter', length='length', error_end='error').get(fault, 'stop')
        choices = []
        for i in range(n):
            message = dict(role='assistant', content='' if spent else self.text(ask, i, fault))
            choices.append(dict(index=i, message=message, finish_reason=finish))
        if fault == 'empty': choices = []
        out = dict(id='chat-1', object='chat.completion', created=0, model=ask['model'], choices=choices)
        if s.usage: out['usage'] = self.used(n, most)
        return out

    def used(self, n, most):
        "The tokens that are billed."
        s = self.s
        prompt, completion = s.prompt_tokens, min(s.thinks + s.completion_tokens, most)*n
        used = dict(prompt_tokens=prompt, completion_tokens=completion,
                    total_tokens=prompt + completion + s.reasoning*n)
        if s.reasoning: used['completion_tokens_details'] = dict(reasoning_tokens=s.reasoning*n)
        return used

    async def answer(self, ask, entry):
        "status, headers, body; a fault's name is in the entry."
        s, fault = self.s, self.fault()
        entry['fault'] = fault
        if s.status and not self.over(): return s.status, {}, dict(error=s.error or dict(message='no'))
        status, said = self.refusal(ask)
        if status:
            entry['fault'] = 'refusal'
            return 200 if s.inside else status, {}, said
        if fault == 'p429' or (s.busy_above and self.under_way > s.busy_above):
            entry['fault'] = 'p429'
            return 429, self.retry_after(), dict(error=dict(message='slow down'))
        if fault == 'p500': return 500, {}, '<html>oops</html>'
        if fault == 'hang': await asyncio.sleep(3600)
        await asyncio.sleep(s.delay)
        if fault == 'page': return 200, {}, '<!doctype html><html><title>Welcome</title></html>'
        return 200, {}, self.body(ask, fault)

    def retry_after(self):
        after = self.s.retry_after
        if after.startswith('date:'):
            after = email.utils.formatdate(time.time() + self.s.skew + float(after[5:]), usegmt=True)
        return {'retry-after': after} if after else {}

    def refusal(self, ask):
        "Status and body of what this request is refused with; (0, None) where it is not."
        s, q = self.s, ask['messages'][-1]['content']
        unknown = [p for p in s.unknown if p in ask]
        if unknown: return 400, dict(error=self.unsupported(unknown[0]))
        if s.most_n and ask.get('n', 1) > s.most_n:
            return 400, dict(error=dict(message=f'n must be at most {s.most_n}'))
        if s.quota and not self.over(): return (QUOTAS | RATES)[s.quota]
        for part, wording in s.bad_prompts.items():
            if part in q: return PROMPTS[wording]
        bad = [p for p in s.refuses if p in ask]
        return PARAMETERS[s.wording](bad[0], ask[bad[0]]) if bad else (0, None)

    def unsupported(self, name):
        said = f"Unsupported parameter: '{name}' is not supported with this model."
        if name == 'max_tokens': said += " Use 'max_completion_tokens' instead."
        return dict(message=said, param=name)

    async def serve(self, r, w):
        try:
            while head := await r.readuntil(b'\r\n\r\n'):
                lines = head.lower().split(b'\r\n')
                size = next((int(line[15:]) for line in lines if line.startswith(b'content-length:')), 0)
                raw, place = await r.readexactly(size), head.split()[1].decode()
                if head.startswith(b'GET'): await self.control(w, place)
                elif self.s.moved and place != self.s.moved: await self.redirect(w, json.loads(raw), head)
                elif not await self.one(w, json.loads(raw)): break
        except (asyncio.IncompleteReadError, ConnectionError): pass
        finally: w.close()

    async def control(self, w, place):
        "What the tests want to know and to change."
        if place == '/log': return await self.write(w, 200, {}, dict(log=self.log, most=self.most))
        if place == '/forget': self.log.clear()
        else: self.s = settings(json.loads(urllib.request.unquote(place.removeprefix('/set'))))
        await self.write(w, 200, {}, {})

    async def redirect(self, w, ask, head):
        key = b'uthorization: Bearer' in head
        self.log.append(dict(at=time.time(), ask=ask, sent=None, fault='moved', key=key))
        await self.write(w, self.s.redirect or 307, dict(location=self.s.location or self.s.moved), '')

    async def one(self, w, ask):
        "Answer a question; False where the connection ends."
        entry = dict(at=time.time(), ask=ask, sent=None)
        self.log.append(entry)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try: status, headers, body = await self.answer(ask, entry)
        finally: self.under_way -= 1
        if entry['fault'] == 'drop' and status == 200: return False
        whole = await self.write(w, status, headers, body, entry['fault'])
        if status == 200: entry |= dict(sent=time.time(), tokens=0)
        if status == 200 and isinstance(body, dict):
            entry['tokens'] = body.get('usage', {}).get('total_tokens', 0)
        return whole

    async def write(self, w, status, headers, body, fault=None):
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        if fault == 'broken': data = data[:-15]
        date = email.utils.formatdate(time.time() + self.s.skew, usegmt=True)
        lines = [f'HTTP/1.1 {status} x', 'content-type: application/json', f'content-length: {len(data)}',
                 f'date: {date}', *(f'{k}: {v}' for k, v in headers.items())]
        if fault == 'cut': data = data[:len(data)//2]
        w.write('\r\n'.join(lines).encode() + b'\r\n\r\n' + data)
        await w.drain()
        return fault != 'cut'

def questions(n, start=0): return [f'question {i}' for i in range(start, start + n)]

class Server:
    "The server in a process of its own."
    def __init__(self, **given): self.given = given

    def __enter__(self):
        command = [sys.executable, __file__, json.dumps(self.given)]
        self.p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = f'http://127.0.0.1:{int(self.p.stdout.readline())}/v1'
        return self

    def __exit__(self, *a):
        self.p.stdin.close()
        self.p.wait(10)

    def get(self, path):
        with urllib.request.urlopen(self.url[:-2] + path, timeout=10) as r: return json.load(r)

    def set(self, **given): self.get('set' + urllib.request.quote(json.dumps(given)))
    def forget(self, **given):
        "Empty the log, and go on with these settings."
        self.get('forget')
        self.set(**given)

    def log(self): return self.get('log')['log']
    def most(self): return self.get('log')['most']
    def spent(self): return sum(e.get('tokens', 0) for e in self.log())
    def faults(self, *names): return sum(e['fault'] in names for e in self.log())
    def refused(self): return self.faults('refusal')
    def questions(self, done=False): # done: only those that were answered
        return [e['ask']['messages'][-1]['content'] for e in self.log() if e['sent'] or not done]

async def main(given):
    chat = Chat(**given)
    server = await asyncio.start_server(chat.serve, '127.0.0.1', 0, backlog=1024, limit=2**24)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    os._exit(0)

if __name__ == '__main__': asyncio.run(main(json.loads((sys.argv + ['{}'])[1])))
