"""A chat-completions server on the loopback, with faults: what the tests and the bench ask.

`python tests/chat_server.py '{"delay": 0.2}'` serves until its standard input ends; the first line it prints is its port.
From a test: `with Server(delay=.2) as s: Teacher(..., base_url=s.url)`, then `s.log()` for what it was asked."""
import asyncio, email.utils, json, random, subprocess, sys, time, urllib.request
from pathlib import Path
sys.path.insert(0, str(Path(__file__).parent))
from wordings import PARAMETERS, PROMPTS, QUOTAS, RATES

defaults = dict(delay=0.,          # seconds before an answer
                p429=0., retry_after='1', # share of requests turned away, and the header's text ("date:3" for a date in 3 s)
                p500=0., hang=0., cut=0., broken=0., # shares: error, never answered, body cut off, body not JSON
                drop=0., empty=0., null=0.,          # shares: connection closed, no choices, content null
                refused=0., length=0.,               # shares: content_filter, cut at max_tokens
                one=False,         # ignore `n`, as Ollama and llama.cpp do
                status=0, error=None, # answer everything with this status and error
                unknown=(),        # parameters that get a 400
                refuses=(), wording='openai', # parameters that are refused, and in whose words (tests/wordings.py)
                most_n=0,          # answers to one request, at most
                bad_prompts={},    # what a prompt holds → in whose words it is refused
                quota='',          # refuse everything in these words
                inside=False,      # say it in a body with status 200
                reasoning=0,       # tokens of reasoning beside the completion's
                thinks=0,          # tokens of reasoning before the answer, within max_tokens
                page=0., error_end=0., # shares: a web page with status 200; broken off with finish_reason "error"
                half=0.,           # share: half of a surrogate pair in the text
                moved='',          # answers only at this path, and redirects to it
                redirect=0, location='', # status and place of a redirect
                skew=0,            # seconds that the server's clock is wrong by
                first=0,           # faults only among this many first requests; 0: always
                busy_above=0,      # 429 when more than this many are under way
                usage=True,        # say how many tokens it took
                prompt_tokens=20, completion_tokens=10, seed=0)

class Chat:
    def __init__(self, **settings):
        self.s = type('S', (), defaults | settings); self.log,self.under_way,self.most,self.rng = [],0,0,random.Random(self.s.seed)

    def fault(self):
        "Which fault befalls this request, if any."
        x,s = self.rng.random(),self.s
        if s.first and len(self.log) > s.first: return None
        names = 'p429 p500 hang cut broken drop empty null refused length page error_end half'
        for name in names.split():
            if (x := x - getattr(s, name)) < 0: return name

    def body(self, ask, fault):
        n = 1 if self.s.one else ask.get('n', 1); q = ask['messages'][-1]['content']
        most = ask.get('max_tokens') or ask.get('max_completion_tokens') or 10**9
        spent = self.s.thinks and most <= self.s.thinks
        if self.s.thinks: fault = 'length' if spent else fault
        def text(i):
            if fault == 'null': return None
            if spent: return ''
            whole = f'{q} | {ask["seed"] + i if "seed" in ask else i}' + '\ud83d'*(fault == 'half')
            return whole[:len(whole)//2] if fault == 'error_end' else whole
        finish = dict(refused='content_filter', length='length', error_end='error').get(fault, 'stop')
        choices = [dict(index=i, message=dict(role='assistant', content=text(i)), finish_reason=finish) for i in range(n)]
        used = dict(prompt_tokens=self.s.prompt_tokens, completion_tokens=min(self.s.thinks + self.s.completion_tokens, most)*n)
        if self.s.reasoning: used['completion_tokens_details'] = dict(reasoning_tokens=self.s.reasoning*n)
        used['total_tokens'] = used['prompt_tokens'] + used['completion_tokens'] + self.s.reasoning*n
        return dict(id='chat-1', object='chat.completion', created=0, model=ask['model'], choices=[] if fault == 'empty' else choices) | (dict(usage=used) if self.s.usage else {})

    async def answer(self, ask, entry):
        "status, headers, body; None to close the connection, a fault's name with it."
        s,fault = self.s,self.fault(); entry['fault'] = fault
        if s.status and not (s.first and len(self.log) > s.first): return s.status,{},dict(error=s.error or dict(message='no'))
        if bad := [p for p in s.unknown if p in ask]: return 400,{},dict(error=dict(message=f"Unsupported parameter: '{bad[0]}' is not supported with this model." + " Use 'max_completion_tokens' instead."*(bad[0] == 'max_tokens'), param=bad[0]))
        said = self.refusal(ask, entry)
        if said: return (200 if s.inside else said[0]),{},said[1]
        if fault == 'p429' or (s.busy_above and self.under_way > s.busy_above): 
            entry['fault'] = 'p429'; after = s.retry_after
            if after.startswith('date:'): after = email.utils.formatdate(time.time() + s.skew + float(after[5:]), usegmt=True)
            return 429,({'retry-after': after} if after else {}),dict(error=dict(message='slow down'))
        if fault == 'p500': return 500,{},'<html>oops</html>'
        if fault == 'hang': await asyncio.sleep(3600)
        await asyncio.sleep(s.delay)
        if fault == 'page': return 200,{},'<!doctype html><html><title>Welcome</title></html>'
        return 200,{},self.body(ask, fault)

    def refusal(self, ask, entry):
        "What this request is refused with, if it is."
        s,q = self.s,ask['messages'][-1]['content']
        bad = [p for p in s.refuses if p in ask]
        if s.most_n and ask.get('n', 1) > s.most_n: return 400,dict(error=dict(message=f'n must be at most {s.most_n}'))
        said = PARAMETERS[s.wording](bad[0], ask[bad[0]]) if bad else None
        said = next((PROMPTS[w] for part, w in s.bad_prompts.items() if part in q), said)
        if s.quota and not (s.first and len(self.log) > s.first): said = (QUOTAS | RATES)[s.quota]
        if said: entry['fault'] = 'refusal'
        return said

    async def serve(self, r, w):
        try:
            while head := await r.readuntil(b'\r\n\r\n'):
                size = next((int(l[15:]) for l in head.split(b'\r\n') if l[:15].lower() == b'content-length:'), 0)
                raw = await r.readexactly(size)
                if head.startswith(b'GET /log'): await self.write(w, 200, {}, dict(log=self.log, most=self.most)); continue
                if head.startswith(b'GET /set'): self.s = type('S', (), defaults | json.loads(urllib.request.unquote(head.split()[1].decode()[4:]))); await self.write(w, 200, {}, {}); continue
                place = head.split()[1].decode()
                if self.s.moved and place != self.s.moved:
                    self.log.append(dict(at=time.time(), ask=json.loads(raw), sent=None, fault='moved', key=b'uthorization: Bearer' in head))
                    await self.write(w, self.s.redirect or 307, dict(location=self.s.location or self.s.moved), ''); continue
                if not await self.one(json.loads(raw), w): break
        except (asyncio.IncompleteReadError, ConnectionError): pass
        finally: w.close()

    async def one(self, ask, w):
        entry = dict(at=time.time(), ask=ask, sent=None); self.log.append(entry)
        self.under_way += 1; self.most = max(self.most, self.under_way)
        try: status,headers,body = await self.answer(ask, entry)
        finally: self.under_way -= 1
        if entry['fault'] == 'drop' and status == 200: return False
        whole = await self.write(w, status, headers, body, entry['fault'])
        if status == 200: entry |= dict(sent=time.time(), tokens=body.get('usage', {}).get('total_tokens', 0) if isinstance(body, dict) else 0)
        return whole

    async def write(self, w, status, headers, body, fault=None):
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        if fault == 'broken': data = data[:-15]
        lines = [f'HTTP/1.1 {status} x', 'content-type: application/json', f'content-length: {len(data)}',
                 f'date: {email.utils.formatdate(time.time() + self.s.skew, usegmt=True)}'] + [f'{k}: {v}' for k,v in headers.items()]
        w.write('\r\n'.join(lines).encode() + b'\r\n\r\n' + (data[:len(data)//2] if fault == 'cut' else data))
        await w.drain()
        return fault != 'cut'

class Server:
    "The server in a process of its own."
    def __init__(self, **settings): self.settings = settings
    def __enter__(self):
        self.p = subprocess.Popen([sys.executable, __file__, json.dumps(self.settings)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = f'http://127.0.0.1:{int(self.p.stdout.readline())}/v1'
        return self
    def __exit__(self, *a): self.p.stdin.close(); self.p.wait(10)
    def get(self, path): 
        with urllib.request.urlopen(self.url[:-2] + path, timeout=10) as r: return json.load(r)
    def log(self): return self.get('log')['log']
    def most(self): return self.get('log')['most']
    def set(self, **settings): self.get('set' + urllib.request.quote(json.dumps(settings)))
    def spent(self): return sum(e.get('tokens', 0) for e in self.log())
    def refused(self): return sum(e['fault'] == 'refusal' for e in self.log())
    def questions(self, done=False): return [e['ask']['messages'][-1]['content'] for e in self.log() if e['sent'] or not done]

async def main(settings):
    chat = Chat(**settings)
    server = await asyncio.start_server(chat.serve, '127.0.0.1', 0, backlog=1024, limit=2**24)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    import os; os._exit(0)

if __name__ == '__main__': asyncio.run(main(json.loads((sys.argv + ['{}'])[1])))
