"""The OpenAI SDK for Python, unmodified, with its default retries."""

import asyncio
import base64

import openai
from pydantic import BaseModel

from checks import ATTACK, BLOCKS, REDACTS, block, done, fake, refused, same

MODEL = "gpt-5.4-mini-mini"
MAIL = "Write to jane.doe@example.com or call 415-555-2671, please."
REDACTED = "Write to [EMAIL] or call [PHONE], please."
TOOL = {"type": "function", "function": {"name": "find", "parameters": {"type": "object", "properties": {}}}}
client = openai.OpenAI(base_url=REDACTS + "/v1", api_key="sk-client")
blocker = openai.OpenAI(base_url=BLOCKS + "/v1", api_key="sk-client")


def user(text):
    return [{"role": "user", "content": text}]


def chat(text="hello", of=client, **more):
    return of.chat.completions.create(model=MODEL, messages=user(text), **more)


def text_of(stream):
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def whole_answers():
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=user("hello"))
    same("version", raw.headers["x-kt-config-version"], "1.0.0")
    answer = raw.parse()
    same("chat", answer.choices[0].message.content, "You said: hello")
    assert answer.usage.total_tokens > 0
    same("request redacted", chat("I am jane@example.com").choices[0].message.content, "You said: I am [EMAIL]")
    same("answer redacted", chat(extra_headers=fake(reply=MAIL)).choices[0].message.content, REDACTED)
    parts = [
        {"type": "text", "text": "of bob@example.com"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + base64.b64encode(b"png" * 50).decode()}},
    ]
    same("parts", chat(parts).choices[0].message.content, "You said: of [EMAIL]")
    legacy = client.completions.create(model="gpt-3.5-turbo-instruct", prompt="hello")
    same("completions", legacy.choices[0].text, "You said: hello")
    embedded = client.embeddings.create(model="text-embedding-3-small", input=["a", "b@example.com"])
    same("embeddings", [len(one.embedding) for one in embedded.data], [3, 3])
    response = client.responses.create(model=MODEL, input="hello", instructions="be kind")
    same("responses", response.output_text, "You said: hello")
    response = client.responses.create(model=MODEL, input=user("hello"), extra_headers=fake(reply=MAIL))
    same("responses redacted", response.output_text, REDACTED)
    names = [model.id for model in client.models.list()]
    assert "gpt-*" in names, names


def streams():
    options = {"stream": True, "stream_options": {"include_usage": True}}
    chunks = list(chat("hello world", extra_headers=fake(chunks=5), **options))
    same("stream", text_of(chunks), "You said: hello world")
    assert chunks[-1].usage.total_tokens > 0
    for pieces in (1, 7, 30, 60):
        streamed = text_of(chat(stream=True, extra_headers=fake(reply=MAIL, chunks=pieces)))
        same(f"redacted in {pieces}", streamed, REDACTED)
    with client.chat.completions.stream(model=MODEL, messages=user("hello")) as stream:
        same("stream helper", stream.get_final_completion().choices[0].message.content, "You said: hello")
    legacy = client.completions.create(
        model="gpt-3.5-turbo-instruct", prompt="hello", stream=True, extra_headers=fake(reply=MAIL, chunks=20)
    )
    same("completions", "".join(chunk.choices[0].text for chunk in legacy), REDACTED)
    with client.responses.stream(model=MODEL, input="hello", extra_headers=fake(reply=MAIL, chunks=20)) as stream:
        deltas = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        same("responses: deltas", deltas, REDACTED)
        same("responses: whole", stream.get_final_response().output_text, REDACTED)


def tools():
    call = fake(calls=[{"name": "find", "arguments": {"place": "Zürich", "mail": "a@example.com"}}], chunks=9)
    arguments = '{"mail":"[EMAIL]","place":"Zürich"}'
    answer = chat(tools=[TOOL], extra_headers=call)
    same("call", answer.choices[0].finish_reason, "tool_calls")
    same("arguments", answer.choices[0].message.tool_calls[0].function.arguments, arguments)
    with client.chat.completions.stream(
        model=MODEL, messages=user("where"), tools=[TOOL], extra_headers=call
    ) as stream:
        made = stream.get_final_completion().choices[0].message.tool_calls[0]
        same("streamed arguments", made.function.arguments, arguments)
    turns = user("where") + [
        {"role": "assistant", "content": None, "tool_calls": [made.model_dump()]},
        {"role": "tool", "tool_call_id": made.id, "content": '{"owner": "eve@example.com"}'},
    ]
    same("result", client.chat.completions.create(model=MODEL, messages=turns).choices[0].finish_reason, "stop")
    function = {"type": "function", "name": "find", "parameters": {"type": "object", "properties": {}}}
    response = client.responses.create(model=MODEL, input="where", tools=[function], extra_headers=call)
    same("responses", response.output[0].arguments, arguments)
    with client.responses.stream(model=MODEL, input="where", tools=[function], extra_headers=call) as stream:
        same("responses streamed", stream.get_final_response().output[0].arguments, arguments)


class Find(BaseModel):
    mail: str


class Count(BaseModel):
    numbers: list[int]


def parallel_calls():
    """The SDK takes a call for whole, and reads it, as soon as the next one begins."""
    calls = [
        {"name": "Find", "arguments": {"mail": "a@example.com"}},
        {"name": "Count", "arguments": {"numbers": [1, 2, 3]}},
        {"name": "Find", "arguments": {"mail": "no mail"}},
    ]
    expected = [Find(mail="[EMAIL]"), Count(numbers=[1, 2, 3]), Find(mail="no mail")]
    typed = [openai.pydantic_function_tool(Find), openai.pydantic_function_tool(Count)]
    for pieces in (1, 5, 50):
        asked = {"model": MODEL, "messages": user("where"), "tools": typed}
        with client.chat.completions.stream(extra_headers=fake(calls=calls, chunks=pieces), **asked) as stream:
            events = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
            same(f"one by one, in {pieces}", [event.parsed_arguments for event in events], expected)
            made = stream.get_final_completion().choices[0].message.tool_calls
            same(f"together, in {pieces}", [call.function.parsed_arguments for call in made], expected)
    functions = [{"type": "function", "name": name, "parameters": {"type": "object"}} for name in ("Find", "Count")]
    script = fake(calls=calls, chunks=9)
    with client.responses.stream(model=MODEL, input="where", tools=functions, extra_headers=script) as stream:
        made = [item.arguments for item in stream.get_final_response().output]
        same("responses", made, ['{"mail":"[EMAIL]"}', '{"numbers":[1,2,3]}', '{"mail":"no mail"}'])


def errors():
    error = block("attack", openai.ConflictError, lambda: chat(ATTACK))
    same("type", error.body["type"], "policy_violation")
    same("code", error.code, "input_blocked")
    same("policy", error.body["policy"], "prompt-injection")
    block("stream of an attack", openai.ConflictError, lambda: list(chat(ATTACK, stream=True)))
    block("responses", openai.ConflictError, lambda: client.responses.create(model=MODEL, input=ATTACK))
    legacy = {"model": "gpt-3.5-turbo-instruct", "prompt": ATTACK}
    block("completions", openai.ConflictError, lambda: client.completions.create(**legacy))
    block("answer", openai.ConflictError, lambda: chat(of=blocker, extra_headers=fake(reply=MAIL)))
    refused("model", openai.NotFoundError, lambda: client.chat.completions.create(model="other", messages=user("x")))
    refused("shape", openai.BadRequestError, lambda: client.chat.completions.create(model=MODEL, messages=[]))
    refused("provider", openai.BadRequestError, lambda: chat(extra_headers=fake(status=400)))
    refused("provider", openai.InternalServerError, lambda: chat(extra_headers=fake(status=500)))
    refused("limit", openai.RateLimitError, lambda: chat(extra_headers=fake(status=429)))
    passing = fake(status=503, times=2, name="passes")
    same("a fault that passes", chat(extra_headers=passing).choices[0].message.content, "You said: hello")


def errors_in_streams():
    for pieces in (3, 40):
        script = fake(reply=f"Here it is. {MAIL} And more.", chunks=pieces)
        seen = []

        def read():
            for chunk in chat(of=blocker, stream=True, extra_headers=script):
                seen.append(chunk.choices[0].delta.content or "")

        error = refused("blocked stream", openai.APIError, read)
        same("code", error.code, "output_blocked")
        assert "jane" not in "".join(seen), seen

    def read_responses():
        for event in blocker.responses.create(model=MODEL, input="x", stream=True, extra_headers=script):
            assert "jane" not in event.to_json(), event
            if event.type == "error":
                raise openai.APIError(event.message, request=None, body=None)

    refused("blocked responses", openai.APIError, read_responses)
    broken = fake(break_after=3, chunks=20)
    refused("broken off", openai.APIError, lambda: list(chat("a b c d", stream=True, extra_headers=broken)))


async def at_once():
    many = openai.AsyncOpenAI(base_url=REDACTS + "/v1", api_key="sk-client")
    asked = [many.chat.completions.create(model=MODEL, messages=user(f"{n}")) for n in range(20)]
    answers = await asyncio.gather(*asked)
    said = [answer.choices[0].message.content for answer in answers]
    same("at once", said, [f"You said: {n}" for n in range(20)])


for part in (whole_answers, streams, tools, parallel_calls, errors, errors_in_streams):
    part()
    print(part.__name__)
asyncio.run(at_once())
done()
