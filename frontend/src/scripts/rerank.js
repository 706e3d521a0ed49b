// The playground of a reranker.
import { NotAnswered, ask, seconds, servedBy } from "./asking.js";

function line(document_, score) {
  const item = document.createElement("li");
  const meter = document.createElement("meter");
  const number = document.createElement("span");
  const text = document.createElement("p");
  [meter.min, meter.max, meter.value] = [0, 1, score];
  meter.setAttribute("aria-label", "Relevance");
  number.textContent = score.toFixed(3);
  text.textContent = document_;
  item.append(text, meter, number);
  return item;
}

export function startRerank() {
  const form = document.querySelector("[data-rerank]");
  if (!form) return;
  const part = (name) => form.querySelector(`[data-${name}]`);
  let running = null;

  function busy(is) {
    part("send").hidden = is;
    part("stop").hidden = !is;
  }

  async function rank() {
    const documents = form.elements.documents.value.split("\n").map((text) => text.trim()).filter(Boolean);
    const body = { model: form.dataset.model, query: form.elements.query.value, documents };
    if (form.elements.top_n.value) body.top_n = Number(form.elements.top_n.value);
    const began = performance.now();
    const response = await ask(form.dataset.endpoint, body, running.signal);
    const { results, meta } = await response.json();
    part("ranking").replaceChildren(...results.map((row) => line(documents[row.index], row.relevance_score)));
    part("ranking").hidden = false;
    part("nothing")?.remove();
    const units = meta.billed_units.search_units;
    const facts = [`${units} search unit${units === 1 ? "" : "s"}`, seconds(performance.now() - began), servedBy(response)];
    part("told").textContent = facts.filter(Boolean).join(" · ");
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (running) return;
    running = new AbortController();
    part("problem").textContent = "";
    part("told").textContent = "";
    busy(true);
    part("stop").focus();
    try {
      await rank();
      part("result-heading").focus();
    } catch (error) {
      if (error.name === "AbortError") part("told").textContent = "Stopped.";
      else part("problem").textContent = error instanceof NotAnswered ? error.message : "The answer cannot be read. Please try again.";
    } finally {
      running = null;
      busy(false);
      if (document.activeElement === document.body) part("send").focus();
    }
  });
  part("stop").addEventListener("click", () => running?.abort());
}
