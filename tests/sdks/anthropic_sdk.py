"""The Anthropic SDK for Python, unmodified, with its default retries."""

import anthropic

from checks import ATTACK, BLOCKS, REDACTS, block, done, fake, refused, same

MODEL = "claude-sonnet-5"
MAIL = "Write to jane.doe@example.com or call 415-555-2671, please."
REDACTED = "Write to [EMAIL] or call [PHONE], please."
TOOL = {"name": "find", "input_schema": {"type": "object", "properties": {}}}
client = anthropic.Anthropic(base_url=REDACTS, api_key="sk-client")
blocker = anthropic.Anthropic(base_url=BLOCKS, api_key="sk-client")


def ask(text="hello", of=client, **more):
    return of.messages.create(model=MODEL, max_tokens=100, messages=[{"role": "user", "content": text}], **more)


def stream(text="hello", of=client, **more):
    return of.messages.stream(model=MODEL, max_tokens=100, messages=[{"role": "user", "content": text}], **more)


def whole_answers():
    same("message", ask().content[0].text, "You said: hello")
    same("request redacted", ask("I am jane@example.com").content[0].text, "You said: I am [EMAIL]")
    answer = ask(system="be kind", extra_headers=fake(reply=MAIL))
    same("answer redacted", answer.content[0].text, REDACTED)
    assert answer.usage.output_tokens > 0
    parts = [
        {"type": "text", "text": "of bob@example.com"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGVsbG8gd29ybGQ="}},
    ]
    same("parts", ask(parts).content[0].text, "You said: of [EMAIL]")


def streams():
    for pieces in (1, 7, 60):
        with stream(extra_headers=fake(reply=MAIL, chunks=pieces)) as events:
            same(f"text in {pieces}", "".join(events.text_stream), REDACTED)
            final = events.get_final_message()
        same("whole", final.content[0].text, REDACTED)
        same("end", final.stop_reason, "end_turn")
        assert final.usage.output_tokens > 0
    kinds = [event.type for event in ask(stream=True)]
    same("first and last", (kinds[0], kinds[-1]), ("message_start", "message_stop"))


def tools():
    call = fake(calls=[{"name": "find", "arguments": {"place": "Zürich", "mail": "a@example.com"}}], chunks=9)
    expected = {"place": "Zürich", "mail": "[EMAIL]"}
    made = ask(tools=[TOOL], extra_headers=call)
    same("call", (made.stop_reason, made.content[0].input), ("tool_use", expected))
    with stream(tools=[TOOL], extra_headers=call) as events:
        same("streamed call", events.get_final_message().content[0].input, expected)
    result = {"type": "tool_result", "tool_use_id": made.content[0].id, "content": "owner: eve@example.com"}
    turns = [
        {"role": "user", "content": "where"},
        {"role": "assistant", "content": [made.content[0].model_dump()]},
        {"role": "user", "content": [result]},
    ]
    same("result", client.messages.create(model=MODEL, max_tokens=9, messages=turns).stop_reason, "end_turn")


def errors():
    error = block("attack", anthropic.ConflictError, lambda: ask(ATTACK))
    same("shape", (error.body["type"], error.body["error"]["type"]), ("error", "policy_violation"))
    same("code", error.body["error"]["code"], "input_blocked")
    block("stream of an attack", anthropic.ConflictError, lambda: list(ask(ATTACK, stream=True)))
    block("system", anthropic.ConflictError, lambda: ask(system=ATTACK))
    block("answer", anthropic.ConflictError, lambda: ask(of=blocker, extra_headers=fake(reply=MAIL)))
    other = {"model": "gpt-5", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
    refused("model", anthropic.NotFoundError, lambda: client.messages.create(**other))
    refused("shape", anthropic.BadRequestError, lambda: client.messages.create(**(other | {"messages": []})))
    refused("provider", anthropic.InternalServerError, lambda: ask(extra_headers=fake(status=500)))
    refused("limit", anthropic.RateLimitError, lambda: ask(extra_headers=fake(status=429)))
    passing = fake(status=503, times=2, name="passes")
    same("a fault that passes", ask(extra_headers=passing).content[0].text, "You said: hello")


def errors_in_streams():
    seen = []

    def read():
        with stream(of=blocker, extra_headers=fake(reply=f"Here it is. {MAIL}", chunks=40)) as events:
            for text in events.text_stream:
                seen.append(text)

    error = refused("blocked stream", anthropic.APIStatusError, read)
    assert "output_blocked" in str(error.body), error.body
    assert "jane" not in "".join(seen), seen


for part in (whole_answers, streams, tools, errors, errors_in_streams):
    part()
    print(part.__name__)
done()
