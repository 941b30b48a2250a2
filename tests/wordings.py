"""What endpoints say when they refuse a parameter, a prompt or an account, in the words of real providers.

Each entry of `PARAMETERS` makes an answer from the name and value of the refused parameter: (status, body).
`SEEN` were in sight while the reader was written; the others were written down before it and kept aside."""
import json

def _error(message, status=400, **more):
    return status, dict(error=dict(message=message, type='invalid_request_error') | more)

def openai(p, v):
    said = f"Unsupported parameter: '{p}' is not supported with this model."
    return _error(said, param=p, code='unsupported_parameter')
def openai_value(p, v):
    said = f"Unsupported value: '{p}' does not support {v} with this model. "
    said += 'Only the default (1) value is supported.'
    return _error(said, param=p, code='unsupported_value')
def anthropic(p, v): return _error(f'`{p}` is deprecated for this model.')
def azure(p, v): return _error(f'Unrecognized request argument supplied: {p}')
def pydantic(p, v):
    row = dict(type='extra_forbidden', loc=['body', p], msg='Extra inputs are not permitted', input=v)
    return 422, dict(detail=[row])
def gemini(p, v):
    said = f'Invalid JSON payload received. Unknown name "{p}": Cannot find field.'
    if p == 'n': said = 'Multiple candidates is not enabled for this model'
    return 400, [dict(error=dict(code=400, message=said, status='INVALID_ARGUMENT'))]
def deepseek(p, v):
    return _error('Invalid n value (currently only n = 1 is supported)' if p == 'n' else f'Invalid {p} value')
def vague(p, v): return _error('Invalid request')
def litellm(p, v):
    said = f"litellm.UnsupportedParamsError: vertex_ai does not support parameters: ['{p}'], for model=m. "
    said += 'To drop these, set `litellm.drop_params=True` or for proxy: '
    return _error(f'{said}`litellm_settings: drop_params: true`', code='400')
def plain(p, v): return 400, f'Bad Request: field {p} is not allowed'

def openrouter_404(p, v):
    return _error('No endpoints found that can handle the requested parameters.', 404, code=404)

SEEN = [openai, openai_value, anthropic, azure, pydantic, gemini, deepseek, vague, litellm, plain,
        openrouter_404]

def kimi(p, v): return _error(f'invalid {p}: only 1 is allowed for this model')
def xai(p, v):
    return 400, dict(code='Client specified an invalid argument',
                     error=f'Argument not supported on this model: {p}')
def groq(p, v): return _error(f"property '{p}' is unsupported, did you mean 'stop'?")
def together(p, v): return _error(f'Input validation error: `{p}` must not be set for this model', 422,
                                  param=None, code=None)
def openrouter(p, v):
    raw = json.dumps(dict(detail=f'Unsupported parameter: {p}'))
    about = dict(raw=raw, provider_name='Chutes')
    return 400, dict(error=dict(message='Provider returned error', code=400, metadata=about), user_id='u')
def vllm(p, v):
    rows = [dict(type='extra_forbidden', loc=('body', p), msg='Extra inputs are not permitted', input=v)]
    return 400, dict(object='error', message=str(rows), type='BadRequestError', param=None, code=400)
def tgi(p, v):
    known = [k for k in 'messages model temperature max_tokens n seed response_format'.split() if k != p]
    known = ', '.join(f'`{k}`' for k in known)
    return 422, (f'Failed to deserialize the JSON body into the target type: unknown field `{p}`, '
                 f'expected one of {known} at line 1 column 98')
def llama_cpp(p, v):
    return _error('Only one completion choice is allowed' if p == 'n' else f'Unsupported param: {p}',
                  code=400)
def ollama(p, v): return _error(f'json: unknown field "{p}"', param=None)
def lm_studio(p, v):
    if p == 'response_format': return 400, dict(error="'response_format.type' must be 'text'")
    return 400, dict(error=f"'{p}' is not supported by this engine")
def bedrock(p, v):
    return 400, dict(message=f'Malformed input request: #: extraneous key [{p}] is not permitted, '
                             'please reformat your input and try again.')
def zhipu(p, v): return 400, dict(error=dict(code='1210', message='API 调用参数有误，请检查文档。'))
def chinese(p, v): return 400, dict(error=dict(code='InvalidParameter', message=f'参数 {p} 不合法'),
                                    request_id='1')
def pydantic_1(p, v):
    row = dict(loc=['body', p], msg='ensure this value is less than or equal to 1',
               type='value_error.number.not_le', ctx=dict(limit_value=1))
    return 422, dict(detail=[row])
def supported_list(p, v):
    known = [k for k in ('model', 'messages', 'temperature', 'max_tokens', 'n', 'seed') if k != p]
    return _error(f'The following parameters are not supported by this model: {p}. Supported parameters: '
                  f'{", ".join(known)}')
def empty(p, v): return 400, ''
def json_schema(p, v): return _error(f"Additional properties are not allowed ('{p}' was unexpected)")
def fireworks(p, v): return _error(f"Extra inputs are not permitted, field: '{p}', value: {v!r}")
def french(p, v): return _error(f"Le paramètre « {p} » n'est pas pris en charge par ce modèle.")
def web_server(p, v):
    return 400, '<html><head><title>400 Bad Request</title></head><body><center>nginx</center></body></html>'
def accepted_list(p, v):
    known = [k for k in ('model', 'messages', 'stream', 'temperature', 'max_tokens', 'n', 'seed',
                         'response_format') if k != p]
    return _error(f'The request has fields that this deployment does not take. Accepted fields: '
                  f'{", ".join(known)}')
def sglang(p, v): return 400, dict(object='error', message=f'{p} is currently not available with this '
                                   f'backend', type='BadRequest', code=400)

HELD_OUT = [kimi, xai, groq, together, openrouter, vllm, tgi, llama_cpp, ollama, lm_studio, bedrock, zhipu,
            chinese, pydantic_1,
            supported_list, empty, json_schema, fireworks, french, web_server, accepted_list, sglang]
PARAMETERS = {f.__name__: f for f in SEEN + HELD_OUT}

def _said(message, status_code=400, /, **more): return status_code, dict(error=dict(message=message) | more)

# what is said of one prompt among others that are answered
PROMPTS = dict(
    openai_long=_said("This model's maximum context length is 8192 tokens. However, your messages resulted "
                      "in 9001 tokens. "
                      'Please reduce the length of the messages.', code='context_length_exceeded',
                      param='messages'),
    vllm_long=_said("'max_tokens' or 'max_completion_tokens' is too large: 50. This model's maximum "
                    "context length is 192 tokens and "
                    'your request has 160 input tokens (50 > 192 - 160).', param='max_tokens'),
    anthropic_long=_said('prompt is too long: 210031 tokens > 200000 maximum'),
    gemini_long=_said('The input token count (1200000) exceeds the maximum number of tokens allowed '
                      '(1048576).', status='INVALID_ARGUMENT'),
    tgi_long=(422, dict(error='Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. '
                        'Given: 4090 `inputs` tokens and 50 '
                              '`max_new_tokens`', error_type='validation')),
    llama_cpp_long=_said('the request exceeds the available context size, try increasing it', 500, code=500,
                         type='exceed_context_size_error'),
    groq_large=_said('Request too large for model `m` on tokens per minute (TPM): Limit 6000, Requested '
                     '9001, please reduce your message size '
                     'and try again.', 413, type='tokens', code='rate_limit_exceeded'),
    openai_large=_said('Request too large for m on tokens per min (TPM): Limit 30000, Requested 45000. The '
                       'input or output tokens must be '
                       'reduced in order to run successfully.', 429, code='rate_limit_exceeded'),
    nginx_large=(413, '<html><head><title>413 Request Entity Too Large</title></head></html>'),
    deepseek_risk=_said('Content Exists Risk', type='invalid_request_error'),
    openai_invalid=_said('Invalid prompt: your prompt was flagged as potentially violating our usage '
                         'policy.', code='invalid_prompt'),
    azure_filter=_said("The response was filtered due to the prompt triggering Azure OpenAI's content "
                       "management policy.",
                       code='content_filter', innererror=dict(code='ResponsibleAIPolicyViolation')),
    alibaba=_said('Input data may contain inappropriate content.', code='data_inspection_failed'),
    openrouter_403=_said('Your chosen model requires moderation and your input was flagged for "violence"',
                         403, code=403,
                         metadata=dict(reasons=['violence'], flagged_input='…')),
    xai_403=(403, dict(code='The caller does not have permission to execute the specified operation',
                       error='Content violates usage guidelines. Team: 1, API key ID: 2, Model: m, '
                             'Failed check: SAFETY_CHECK_TYPE_BIO')),
    kimi_risk=_said('The request was rejected because it was considered high risk', type='content_filter'),
    zhipu_1301=_said('系统检测到输入或生成内容可能包含不安全或敏感内容，'
                     '请您避免输入易产生敏感内容的提示语', code='1301'),
    vague=_said('Invalid request'), empty=(422, ''),
    forbidden=(403, '<html><body><h1>403 Forbidden</h1></body></html>'),
    filter_with_n=_said("litellm.ContentPolicyViolationError - {'error': {'message': 'Response was "
                        "filtered', 'n': 1}}"),
    legal=_said('Unavailable', 451))

def _gemini(message, quota, *details):
    details = [dict(violations=[dict(quotaId=quota)]), *details]
    return [dict(error=dict(code=429, status='RESOURCE_EXHAUSTED', message=message, details=details))]

# what is said where waiting does not help
QUOTAS = dict(
    openai=_said('You exceeded your current quota, please check your plan and billing details.', 429,
                 code='insufficient_quota'),
    openai_text=_said('You exceeded your current quota, please check your plan and billing details.', 429,
                      code=None),
    deepseek=_said('Insufficient Balance', 402),
    siliconflow=_said('Sorry, your account balance is insufficient', 403, code=30001),
    openai_limit=_said('Billing hard limit has been reached', 400, code='billing_hard_limit_reached'),
    anthropic=_said('Your credit balance is too low to access the Anthropic API. Please go to Plans & '
                    'Billing to upgrade or purchase credits.'),
    xai=_said('Your team has either used all available credits or reached its monthly spending limit.', 429),
    openrouter_day=_said('Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free '
                         'model requests per day', 429),
    gemini_day=(429, _gemini('You exceeded your current quota. Please retry in 32.1s.',
                             'GenerateRequestsPerDayPerProjectPerModel-FreeTier')),
    groq_day=_said('Rate limit reached for model `m` on tokens per day (TPD): Limit 100000, Used 99999. '
                   'Please try again in 7m12s.', 429),
    kimi=_said('Your account is suspended, please check your plan and billing details', 429,
               type='exceeded_current_quota_error'),
    litellm=_said('Budget has been exceeded! Current cost: 10.2, Max budget: 10.0', 400,
                  type='budget_exceeded'),
    zhipu=_said('您的账户已欠费，请充值后重试', 429, code='1113'),
    period=_said('You have reached your usage allowance for this billing period.', 429))

# the same words where waiting does help
RATES = dict(
    gemini_minute=(429, _gemini('You exceeded your current quota, please check your plan and billing '
                                'details. Please retry in 0.2s.',
                                'GenerateRequestsPerMinutePerProjectPerModel', dict(retryDelay='0.2s'))),
    openai_minute=_said('Rate limit reached for m on requests per min (RPM): Limit 3, Used 3, Requested 1. '
                        'Please try again in 200ms. '
                        'You can increase your rate limit by adding a payment method to your account.', 429,
                 code='rate_limit_exceeded'),
    vertex=_said('Resource has been exhausted (e.g. check quota).', 429, status='RESOURCE_EXHAUSTED'))
