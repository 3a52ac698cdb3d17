// Asks for transcriptions as an application in Node does, and prints what it got as JSON, for test_node.py to look at.
// The server and its key are in OPENAI_BASE_URL and OPENAI_API_KEY, the recording is speech.wav in the current folder.
import fs from "node:fs";
import OpenAI, { toFile } from "openai";

const client = new OpenAI({ maxRetries: 0 });
const speech = () => fs.createReadStream("speech.wav");
const ask = (more) => client.audio.transcriptions.create({ model: "whisper-1", file: speech(), ...more });

// What an error says of itself, and what class it is of.
async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    const { status, code, param, type, requestID, message } = error;
    return { class: error.constructor.name, status, code, param, type, requestID, message };
  }
  return null;
}

async function events(more) {
  const found = [];
  for await (const event of await ask({ stream: true, ...more })) found.push(event);
  return found;
}

async function raw() {
  const { data, response, request_id } = await ask({}).withResponse();
  return { text: data.text, type: response.headers.get("content-type"), id: response.headers.get("x-request-id"), request_id };
}

async function aborted() {
  const controller = new AbortController();
  const promise = client.audio.transcriptions.create({ model: "whisper-1", file: speech() }, { signal: controller.signal });
  setTimeout(() => controller.abort(), 20);
  return failure(promise);
}

const bytes = await toFile(fs.readFileSync("speech.wav"), "upload");
const strategy = { type: "server_vad", threshold: 0.4, prefix_padding_ms: 200, silence_duration_ms: 500 };
console.log(
  JSON.stringify({
    json: await ask({}),
    bytes: await ask({ file: bytes }),
    text: await ask({ response_format: "text" }),
    srt: await ask({ response_format: "srt" }),
    vtt: await ask({ response_format: "vtt" }),
    verbose: await ask({ response_format: "verbose_json", timestamp_granularities: ["word", "segment"] }),
    wordsAlone: await ask({ response_format: "verbose_json", timestamp_granularities: ["word"] }),
    logprobs: await ask({ model: "gpt-4o-transcribe", include: ["logprobs"] }),
    strategy: await ask({ chunking_strategy: strategy }),
    automatic: await ask({ chunking_strategy: "auto" }),
    events: await events({}),
    raw: await raw(),
    models: (await client.models.list()).data,
    model: await client.models.retrieve("whisper-1"),
    badRequest: await failure(ask({ temperature: 2 })),
    notFound: await failure(ask({ model: "gpt-9" })),
    noSound: await failure(ask({ file: await toFile(Buffer.from("Dear Sir or Madam"), "speech.wav") })),
    aborted: await aborted(),
    afterwards: await ask({}),
  }),
);
