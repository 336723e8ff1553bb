"""The official Python client of Anthropic, unchanged, against Farebox.

FAREBOX_BASE_URL   where the API is, such as http://127.0.0.1:8080/api/v1
FAREBOX_API_KEY    a key with credits
FAREBOX_POOR_KEY   a key of an organization without credits
FAREBOX_MODEL      the model to call, sandbox/echo if not set

Prints a line for each test and ends with 0 if all passed.
"""

import os
import sys

import anthropic
import runner

# The client adds /v1/messages itself.
BASE_URL = os.environ["FAREBOX_BASE_URL"].removesuffix("/v1")
MODEL = os.environ.get("FAREBOX_MODEL", "sandbox/echo")
HELLO = [{"role": "user", "content": "Hello, world"}]
# Seconds for one request. The sandbox answers at once; a busy machine does not.
TIMEOUT = 30

WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}


def client_with(key):
    return anthropic.Anthropic(base_url=BASE_URL, api_key=key, timeout=TIMEOUT, max_retries=1)


client = client_with(os.environ["FAREBOX_API_KEY"])


def expect(error, status, kind, call):
    try:
        call()
    except error as caught:
        assert caught.status_code == status, f"status {caught.status_code} instead of {status}"
        assert caught.body["type"] == "error" and caught.body["error"]["type"] == kind, caught.body
        return caught
    raise AssertionError(f"{error.__name__} was not raised")


def answers():
    message = client.messages.create(model=MODEL, max_tokens=64, messages=HELLO, system="Be kind.")
    assert message.type == "message" and message.role == "assistant", message
    assert message.content[0].type == "text" and message.content[0].text == "You said: Hello, world", message
    assert message.stop_reason == "end_turn", message
    assert message.usage.input_tokens > 0 and message.usage.output_tokens > 0, message.usage
    assert message.usage.model_extra["cost"] > 0, message.usage


def streams():
    with client.messages.stream(model=MODEL, max_tokens=64, messages=HELLO) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == "You said: Hello, world", text
    assert final.stop_reason == "end_turn" and final.usage.output_tokens > 0, final
    assert final.id and final.content[0].text == text, final


def calls_tools_and_takes_their_results():
    ask = [{"role": "user", "content": "call:get_weather"}]
    message = client.messages.create(model=MODEL, max_tokens=64, messages=ask, tools=[WEATHER])
    assert message.stop_reason == "tool_use", message
    call = message.content[0]
    assert call.type == "tool_use" and call.name == "get_weather" and call.input == {}, call
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "Sunny."}]}
    said = {"role": "assistant", "content": message.content}
    after = client.messages.create(model=MODEL, max_tokens=64, messages=[*ask, said, result], tools=[WEATHER])
    assert after.role == "assistant", after


def streams_tool_calls():
    ask = [{"role": "user", "content": "call:get_weather"}]
    with client.messages.stream(model=MODEL, max_tokens=64, messages=ask, tools=[WEATHER]) as stream:
        final = stream.get_final_message()
    assert final.stop_reason == "tool_use" and final.content[0].input == {}, final


def counts_tokens():
    count = client.messages.count_tokens(model=MODEL, messages=HELLO)
    assert count.input_tokens > 0, count


def refuses_a_wrong_key():
    expect(
        anthropic.AuthenticationError,
        401,
        "authentication_error",
        lambda: client_with("sk-wrong").messages.create(model=MODEL, max_tokens=64, messages=HELLO),
    )


def knows_no_unknown_model():
    expect(
        anthropic.NotFoundError,
        404,
        "not_found_error",
        lambda: client.messages.create(model="nobody/nothing", max_tokens=64, messages=HELLO),
    )


def refuses_without_credits():
    poor = client_with(os.environ["FAREBOX_POOR_KEY"])
    caught = expect(
        anthropic.APIStatusError,
        402,
        "billing_error",
        lambda: poor.messages.create(model=MODEL, max_tokens=64, messages=HELLO),
    )
    assert "Insufficient credits" in caught.body["error"]["message"], caught.body


def refuses_what_makes_no_sense():
    expect(
        anthropic.BadRequestError,
        400,
        "invalid_request_error",
        lambda: client.messages.create(model=MODEL, max_tokens=64, messages=[]),
    )


TESTS = [
    answers,
    streams,
    calls_tools_and_takes_their_results,
    streams_tool_calls,
    counts_tokens,
    refuses_a_wrong_key,
    knows_no_unknown_model,
    refuses_without_credits,
    refuses_what_makes_no_sense,
]

if __name__ == "__main__":
    sys.exit(runner.run(TESTS))
