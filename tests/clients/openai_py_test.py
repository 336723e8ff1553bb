"""The official Python client of OpenAI, unchanged, against Farebox.

FAREBOX_BASE_URL   where the API is, such as http://127.0.0.1:8080/api/v1
FAREBOX_API_KEY    a key with credits
FAREBOX_POOR_KEY   a key of an organization without credits
FAREBOX_MODEL      the model to call, sandbox/echo if not set

Prints a line for each test and ends with 0 if all passed.
"""

import os
import sys
from decimal import Decimal

import openai
import runner

BASE_URL = os.environ["FAREBOX_BASE_URL"]
MODEL = os.environ.get("FAREBOX_MODEL", "sandbox/echo")
HELLO = [{"role": "user", "content": "Hello, world"}]
# Seconds for one request. The sandbox answers at once; a busy machine does not.
TIMEOUT = 30
# One retry, so that the client's own handling of retries is part of the test.
RETRIES = 1

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def client_with(key):
    return openai.OpenAI(base_url=BASE_URL, api_key=key, timeout=TIMEOUT, max_retries=RETRIES)


client = client_with(os.environ["FAREBOX_API_KEY"])


def check_usage(usage):
    assert usage.prompt_tokens > 0 and usage.completion_tokens > 0, usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, usage
    assert "cost" in usage.model_extra, "usage carries the cost"
    assert Decimal(str(usage.model_extra["cost"])) >= 0, usage


def expect(error, status, call):
    try:
        call()
    except error as caught:
        assert caught.status_code == status, f"status {caught.status_code} instead of {status}"
        # The client unpacks `error` from the body.
        assert caught.body["code"] == status, caught.body
        assert caught.body["message"], caught.body
        return caught
    raise AssertionError(f"{error.__name__} was not raised")


def lists_models():
    models = list(client.models.list())
    assert MODEL in [model.id for model in models], "the model is listed"
    assert all(model.created > 0 and model.object == "model" for model in models)
    assert client.models.retrieve(MODEL).id == MODEL, "a model is there by its name"


def chats():
    answer = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=64)
    assert answer.object == "chat.completion" and answer.id, answer
    assert answer.choices[0].message.role == "assistant", answer
    assert answer.choices[0].message.content, "there is an answer"
    assert answer.choices[0].message.tool_calls is None, answer
    assert answer.choices[0].finish_reason == "stop", answer
    check_usage(answer.usage)


def streams():
    text, usage, finish, ids = "", None, None, set()
    with client.chat.completions.create(
        model=MODEL, messages=HELLO, max_tokens=64, stream=True, stream_options={"include_usage": True}
    ) as stream:
        for chunk in stream:
            assert chunk.object == "chat.completion.chunk", chunk
            ids.add(chunk.id)
            if chunk.usage is not None:
                usage = chunk.usage
            for choice in chunk.choices:
                text += choice.delta.content or ""
                finish = choice.finish_reason or finish
    assert text and finish == "stop", (text, finish)
    assert len(ids) == 1, "all chunks carry one id"
    assert usage is not None, "the last chunk carries the usage"
    check_usage(usage)


def streams_usage_without_being_asked():
    stream = client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    told = [chunk.usage for chunk in stream if chunk.usage is not None]
    assert len(told) == 1, f"{len(told)} chunks carry usage"
    check_usage(told[0])


def says_the_same_streamed_or_not():
    arguments = {"model": MODEL, "messages": HELLO, "max_tokens": 64}
    whole = client.chat.completions.create(**arguments)
    with client.chat.completions.stream(**arguments) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.content == whole.choices[0].message.content


def calls_tools():
    ask = [{"role": "user", "content": "call:get_weather"}]
    answer = client.chat.completions.create(model=MODEL, messages=ask, tools=[WEATHER])
    assert answer.choices[0].finish_reason == "tool_calls", answer
    call = answer.choices[0].message.tool_calls[0]
    assert call.type == "function" and call.id, call
    assert call.function.name == "get_weather" and call.function.arguments == "{}", call

    result = {"role": "tool", "tool_call_id": call.id, "content": "Sunny."}
    said = answer.choices[0].message.model_dump(exclude_none=True)
    after = client.chat.completions.create(model=MODEL, messages=[*ask, said, result], tools=[WEATHER])
    assert after.choices[0].message.role == "assistant", after


def streams_tool_calls():
    ask = [{"role": "user", "content": "call:get_weather"}]
    with client.chat.completions.stream(model=MODEL, messages=ask, tools=[WEATHER]) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].finish_reason == "tool_calls", final
    call = final.choices[0].message.tool_calls[0]
    assert call.function.name == "get_weather" and call.function.arguments == "{}", call


def completes_a_text():
    answer = client.completions.create(model=MODEL, prompt="Once", max_tokens=64)
    assert answer.object == "text_completion" and answer.choices[0].text.startswith("You said:"), answer
    check_usage(answer.usage)
    pieces = list(client.completions.create(model=MODEL, prompt="Once", stream=True))
    assert "".join(piece.choices[0].text for piece in pieces) == answer.choices[0].text, pieces


def responds():
    response = client.responses.create(model=MODEL, input="Hello, world", instructions="Be kind.")
    assert response.status == "completed" and response.output_text == "You said: Hello, world", response
    assert response.usage.input_tokens > 0 and response.usage.output_tokens > 0, response.usage
    assert response.usage.model_extra["cost"] > 0, response.usage


def streams_a_response():
    with client.responses.stream(model=MODEL, input="Hello, world") as stream:
        deltas = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert deltas == final.output_text == "You said: Hello, world", final


def responds_with_a_call_of_a_function():
    function = {"type": "function", "name": "get_weather", "parameters": WEATHER["function"]["parameters"]}
    ask = [{"role": "user", "content": "call:get_weather"}]
    response = client.responses.create(model=MODEL, input=ask, tools=[function])
    call = response.output[0]
    assert call.type == "function_call" and call.name == "get_weather" and call.arguments == "{}", response
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "Sunny."}
    after = client.responses.create(model=MODEL, input=[*ask, call, result], tools=[function])
    assert after.status == "completed", after


def makes_vectors():
    # Asked for nothing in particular, this client wants them as base64 and reads that itself.
    answer = client.embeddings.create(model="sandbox/embed", input=["the cat", "a dog"])
    assert len(answer.data) == 2 and len(answer.data[0].embedding) == 256, answer
    plain = client.embeddings.create(model="sandbox/embed", input="the cat", encoding_format="float", dimensions=16)
    assert len(plain.data[0].embedding) == 16 and plain.usage.prompt_tokens > 0, plain


def refuses_a_wrong_key():
    for wrong in ["sk-wrong", "sk-fb-v1-" + "0" * 70]:
        expect(
            openai.AuthenticationError,
            401,
            lambda: client_with(wrong).chat.completions.create(model=MODEL, messages=HELLO),
        )


def knows_no_unknown_model():
    expect(
        openai.NotFoundError,
        404,
        lambda: client.chat.completions.create(model="nobody/nothing", messages=HELLO),
    )


def says_so_before_a_stream_too():
    expect(
        openai.NotFoundError,
        404,
        lambda: client.chat.completions.create(model="nobody/nothing", messages=HELLO, stream=True),
    )


def refuses_without_credits():
    poor = client_with(os.environ["FAREBOX_POOR_KEY"])
    caught = expect(
        openai.APIStatusError, 402, lambda: poor.chat.completions.create(model=MODEL, messages=HELLO)
    )
    assert '"code":402' in caught.response.text, "the body is compact"


def refuses_a_malformed_body():
    expect(
        openai.BadRequestError,
        400,
        lambda: client.chat.completions.create(model=MODEL, messages="no list"),
    )


TESTS = [
    lists_models,
    chats,
    streams,
    streams_usage_without_being_asked,
    says_the_same_streamed_or_not,
    calls_tools,
    streams_tool_calls,
    completes_a_text,
    responds,
    streams_a_response,
    responds_with_a_call_of_a_function,
    makes_vectors,
    refuses_a_wrong_key,
    knows_no_unknown_model,
    says_so_before_a_stream_too,
    refuses_without_credits,
    refuses_a_malformed_body,
]


def main():
    return runner.run(TESTS)


if __name__ == "__main__":
    sys.exit(main())
