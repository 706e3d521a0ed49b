// The playground of a chat model. The conversation lives in this page only.
import { NotAnswered, ask, seconds, servedBy } from "./asking.js";

const element = (tag, className, text = "") => Object.assign(document.createElement(tag), { className, textContent: text });

// The events of a stream as they come.
async function* events(response) {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const piece of pieces(response.body.getReader())) {
    rest += decoder.decode(piece, { stream: true });
    const found = rest.split("\n\n");
    rest = found.pop();
    for (const event of found) {
      if (event.startsWith("data: ") && event !== "data: [DONE]") yield JSON.parse(event.slice(6));
    }
  }
}

async function* pieces(reader) {
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

export function startChat() {
  const form = document.querySelector("[data-chat]");
  if (!form) return;
  const log = form.querySelector("[data-log]");
  const send = form.querySelector("[data-send]");
  const stop = form.querySelector("[data-stop]");
  const clear = form.querySelector("[data-clear]");
  const field = form.elements.message;
  const sums = { input: 0, output: 0 };
  let messages = [];
  let running = null;

  function say(role, text) {
    form.querySelector("[data-nothing]")?.remove();
    clear.hidden = false;
    const bubble = element("div", `turn is-${role}`);
    bubble.append(element("p", "turn-who", role === "user" ? "You" : "Model"), element("div", "turn-text", text));
    log.append(bubble);
    log.scrollTop = log.scrollHeight;
    return bubble;
  }

  function tell(bubble, text, bad = false) {
    bubble.append(element("p", bad ? "turn-note is-bad" : "turn-note", text));
    log.scrollTop = log.scrollHeight;
  }

  function count(usage) {
    sums.input += usage.prompt_tokens;
    sums.output += usage.completion_tokens;
    form.querySelector("[data-sums]").hidden = false;
    for (const name of ["input", "output"]) {
      form.querySelector(`[data-sum="${name}"]`).textContent = sums[name].toLocaleString("en");
    }
  }

  function request() {
    const system = form.elements.system.value.trim();
    return {
      model: form.dataset.model,
      messages: [...(system ? [{ role: "system", content: system }] : []), ...messages],
      max_completion_tokens: Number(form.elements.max_tokens.value),
      temperature: Number(form.elements.temperature.value),
      stream: true,
      stream_options: { include_usage: true },
    };
  }

  // Streams one answer into `bubble`; returns what was said, also when it was stopped or broke off.
  async function answer(bubble) {
    const text = bubble.querySelector(".turn-text");
    const began = performance.now();
    let first = null;
    let usage = null;
    let problem = "";
    let stopped = false;
    try {
      const response = await ask(form.dataset.endpoint, request(), running.signal);
      if (servedBy(response)) bubble.querySelector(".turn-who").textContent = servedBy(response);
      for await (const event of events(response)) {
        if (event.error) throw new NotAnswered(event.error.message);
        const piece = event.choices?.[0]?.delta?.content;
        if (piece) {
          first ??= performance.now();
          const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
          text.textContent += piece;
          if (atEnd) log.scrollTop = log.scrollHeight;
        }
        if (event.usage) usage = event.usage;
      }
    } catch (error) {
      stopped = error.name === "AbortError";
      if (!stopped) problem = error instanceof NotAnswered ? error.message : "The answer broke off. Please try again.";
    }
    const facts = [];
    if (usage) {
      count(usage);
      facts.push(`${usage.prompt_tokens.toLocaleString("en")} tokens in`, `${usage.completion_tokens.toLocaleString("en")} out`);
    }
    if (first !== null) facts.push(`first after ${seconds(first - began)}`);
    if (!problem) facts.push(stopped ? `stopped after ${seconds(performance.now() - began)}` : `${seconds(performance.now() - began)} in all`);
    if (facts.length) tell(bubble, facts.join(" · "));
    if (problem) tell(bubble, problem, true);
    return text.textContent;
  }

  function busy(is) {
    send.hidden = is;
    stop.hidden = !is;
    clear.disabled = is;
    log.setAttribute("aria-busy", String(is));
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = field.value.trim();
    if (running || !text) return;
    running = new AbortController();
    messages.push({ role: "user", content: text });
    say("user", text);
    field.value = "";
    busy(true);
    stop.focus();
    const said = await answer(say("assistant", ""));
    // Without an answer the question is taken back, and can be changed and sent again.
    if (said) messages.push({ role: "assistant", content: said });
    else {
      messages.pop();
      if (!field.value) field.value = text;
    }
    running = null;
    busy(false);
    field.focus();
  });

  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
  stop.addEventListener("click", () => running?.abort());
  clear.addEventListener("click", () => {
    messages = [];
    for (const turn of log.querySelectorAll(".turn")) turn.remove();
    clear.hidden = true;
    field.focus();
  });
}
