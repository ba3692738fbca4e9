// The OpenAI SDK for Node, unmodified, with its default retries.

import assert from "node:assert/strict";
import OpenAI from "openai";

const { REDACTS, BLOCKS, ATTACK } = process.env;
const MODEL = "gpt-5.4-mini-mini";
const MAIL = "Write to jane.doe@example.com or call 415-555-2671, please.";
const REDACTED = "Write to [EMAIL] or call [PHONE], please.";
const client = new OpenAI({ baseURL: `${REDACTS}/v1`, apiKey: "sk-client" });
const blocker = new OpenAI({ baseURL: `${BLOCKS}/v1`, apiKey: "sk-client" });
let blocked = 0;

/** How the provider is to answer; in a header, which no policy reads. */
const fake = (script) => ({ headers: { "x-fake": JSON.stringify(script) } });
const user = (content) => [{ role: "user", content }];
const chat = (content, more = {}, options = {}, of = client) =>
  of.chat.completions.create({ model: MODEL, messages: user(content), ...more }, options);

async function block(call) {
  blocked += 1;
  await assert.rejects(call, (error) => error instanceof OpenAI.ConflictError && error.status === 409);
}

async function wholeAnswers() {
  const { data, response } = await chat("hello").withResponse();
  assert.equal(response.headers.get("x-kt-config-version"), "1.0.0");
  assert.equal(data.choices[0].message.content, "You said: hello");
  assert.equal((await chat("I am jane@example.com")).choices[0].message.content, "You said: I am [EMAIL]");
  assert.equal((await chat("x", {}, fake({ reply: MAIL }))).choices[0].message.content, REDACTED);
  const response_ = await client.responses.create({ model: MODEL, input: "hello" }, fake({ reply: MAIL }));
  assert.equal(response_.output_text, REDACTED);
  const embedded = await client.embeddings.create({ model: "text-embedding-3-small", input: "a", encoding_format: "float" });
  assert.equal(embedded.data[0].embedding.length, 3);
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  assert.ok(names.includes("gpt-*"), names);
}

async function streams() {
  for (const chunks of [1, 7, 60]) {
    let text = "";
    for await (const chunk of await chat("x", { stream: true }, fake({ reply: MAIL, chunks }))) {
      text += chunk.choices[0]?.delta?.content ?? "";
    }
    assert.equal(text, REDACTED);
  }
  const runner = client.responses.stream({ model: MODEL, input: "x" }, fake({ reply: MAIL, chunks: 20 }));
  assert.equal((await runner.finalResponse()).output_text, REDACTED);
}

async function tools() {
  const call = fake({ calls: [{ name: "find", arguments: { mail: "a@example.com" } }], chunks: 9 });
  const tool = { type: "function", function: { name: "find", parameters: { type: "object", properties: {} } } };
  const runner = client.chat.completions.stream({ model: MODEL, messages: user("where"), tools: [tool] }, call);
  const made = (await runner.finalChatCompletion()).choices[0].message.tool_calls[0];
  assert.deepEqual(JSON.parse(made.function.arguments), { mail: "[EMAIL]" });
}

async function errors() {
  await block(() => chat(ATTACK));
  await block(() => chat(ATTACK, { stream: true }));
  await block(() => client.responses.create({ model: MODEL, input: ATTACK }));
  await block(() => chat("x", {}, fake({ reply: MAIL }), blocker));
  await assert.rejects(() => chat("x", { model: "other" }), OpenAI.NotFoundError);
  await assert.rejects(() => chat("x", {}, fake({ status: 500 })), OpenAI.InternalServerError);
  const passing = fake({ status: 503, times: 2, name: "passes" });
  assert.equal((await chat("hello", {}, passing)).choices[0].message.content, "You said: hello");
  const read = async () => {
    for await (const chunk of await chat("x", { stream: true }, fake({ reply: MAIL, chunks: 40 }), blocker)) {
      assert.ok(!JSON.stringify(chunk).includes("jane"));
    }
  };
  await assert.rejects(read, (error) => error instanceof OpenAI.APIError && error.code === "output_blocked");
}

for (const part of [wholeAnswers, streams, tools, errors]) {
  await part();
  console.log(part.name);
}
console.log(JSON.stringify({ blocked }));
