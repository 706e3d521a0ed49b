// The submission form saves itself: every five seconds while there are changes, before the page is left, and again for
// as long as nothing can be reached. What is not saved yet is also kept in this browser, secrets excepted.
import { post } from "../http.js";

const EVERY_MS = 5000;
const UNANSWERED_MOST = 8;
const LONG = 500;

export function startAutosave() {
  const form = document.querySelector("[data-submission]");
  if (!form) return;
  const inputs = new Map([...form.querySelectorAll("[data-answer]")].map((input) => [input.name, input]));
  const store = `mobiloud-form:${form.dataset.submission}`;
  const status = form.querySelector("[data-autosave]");
  const statusText = form.querySelector("[data-autosave-text]");
  const pending = new Map();
  const held = new Set();
  // What was sent and not answered, by field: it may be saved all the same, and is then no other window's.
  const unanswered = new Map();
  let sending = null;

  const valueOf = (input) => (input.type === "checkbox" ? (input.checked ? input.value : "") : input.value);
  const isSecret = (input) => "secretAnswer" in input.dataset;
  const put = (input, value) => {
    if (input.type === "checkbox") input.checked = value === input.value;
    else input.value = value;
  };

  function say(text, tone = "") {
    if (statusText.textContent !== text) statusText.textContent = text;
    status.dataset.tone = tone;
  }

  function kept() {
    try {
      return JSON.parse(localStorage.getItem(store)) ?? {};
    } catch {
      return {};
    }
  }

  const change = (name, value) => ({ value, base: Number(inputs.get(name).dataset.version), unanswered: [...(unanswered.get(name) ?? [])] });

  // Only this section's fields are touched: another tab may have another section open.
  function keep() {
    const values = kept();
    for (const [name, input] of inputs) {
      if (pending.has(name) && !isSecret(input)) values[name] = change(name, pending.get(name));
      else delete values[name];
    }
    try {
      if (Object.keys(values).length) localStorage.setItem(store, JSON.stringify(values));
      else localStorage.removeItem(store);
    } catch {
      // No storage: the request before leaving has to do.
    }
  }

  function problem(name, text) {
    const box = form.querySelector(`[data-answer-box="${name}"]`);
    let message = box.querySelector(".field-problem");
    const input = inputs.get(name);
    if (!text) {
      message?.remove();
      input.removeAttribute("aria-invalid");
      input.removeAttribute("aria-errormessage");
      return;
    }
    if (!message) {
      message = document.createElement("span");
      message.className = "field-problem";
      message.id = `answer-problem-${name}`;
      box.append(message);
    }
    message.textContent = text;
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-errormessage", message.id);
  }

  function showSections(sections) {
    for (const section of sections) {
      const state = document.querySelector(`[data-section-slug="${section.slug}"] [data-section-state]`);
      if (!state) continue;
      const count = section.missing.length;
      state.textContent = count ? `${count} missing` : "Complete";
      state.className = `state tone-${count ? "warning" : "good"}`;
      for (const { name, message } of section.missing) {
        // Empty fields say so by being empty; what is filled in wrongly is told.
        if (inputs.has(name) && valueOf(inputs.get(name)) && !isSecret(inputs.get(name)) && !pending.has(name)) problem(name, message);
      }
    }
    const done = sections.filter((section) => section.missing.length === 0).length;
    if (sections.length) document.querySelector("[data-sections-done]").textContent = `${done} of ${sections.length}`;
  }

  const changes = () =>
    Object.fromEntries(
      [...pending]
        .filter(([name]) => !held.has(name))
        .map(([name, value]) => [name, change(name, value)]),
    );

  function leaves(sent) {
    for (const [name, { value }] of Object.entries(sent)) {
      const values = (unanswered.get(name) ?? []).filter((each) => each !== value);
      values.push(value);
      // The first may have been saved before the connection broke, the last when it came back.
      const most = value.length > LONG ? 2 : UNANSWERED_MOST;
      if (values.length > most) values.splice(1, values.length - most);
      unanswered.set(name, values);
    }
    keep();
  }

  function settle(name, version, sent) {
    const input = inputs.get(name);
    input.dataset.version = version;
    if (pending.get(name) !== sent) return;
    pending.delete(name);
    problem(name, "");
    if (isSecret(input)) {
      input.value = "";
      input.placeholder = sent ? "•••••••• stored" : "";
      input.closest(".field").querySelector("[data-secret-state]").textContent = sent
        ? "Stored encrypted. It is never shown again; type a new one to replace it."
        : "Is stored encrypted and never shown again.";
    }
  }

  async function choose(name, theirs) {
    const input = inputs.get(name);
    const dialog = document.getElementById("field-conflict-dialog");
    const label = (input.closest("label") ?? input).innerText.split("\n")[0];
    dialog.querySelector("[data-conflict-text]").textContent = `${theirs.author} changed “${label.trim()}” in another window.`;
    dialog.querySelector("[data-theirs]").textContent = isSecret(input) ? "A secret, not shown" : theirs.value || "(empty)";
    dialog.querySelector("[data-mine]").textContent = isSecret(input) ? "A secret, not shown" : pending.get(name) || "(empty)";
    held.add(name);
    dialog.showModal();
    const choice = await new Promise((resolve) => {
      let picked = "";
      dialog.querySelector("[data-keep-mine]").onclick = () => ((picked = "mine"), dialog.close());
      dialog.querySelector("[data-take-theirs]").onclick = () => ((picked = "theirs"), dialog.close());
      dialog.addEventListener("close", () => resolve(picked), { once: true });
    });
    held.delete(name);
    input.dataset.version = theirs.version;
    // Closed without a choice: mine stays, as it would have without anybody else.
    if (choice === "theirs") {
      pending.delete(name);
      put(input, isSecret(input) ? "" : theirs.value);
    }
    keep();
    show();
  }

  async function send() {
    const sent = changes();
    if (Object.keys(sent).length === 0) return;
    say("Saving …");
    leaves(sent);
    try {
      const answer = await post(form.dataset.saveUrl, { changes: JSON.stringify(sent) });
      for (const name of Object.keys(sent)) unanswered.delete(name);
      for (const [name, version] of Object.entries(answer.saved)) settle(name, version, sent[name].value);
      for (const [name, text] of Object.entries(answer.problems)) {
        problem(name, text);
        // Sent again when it is another text.
        held.add(name);
      }
      keep();
      showSections(answer.sections);
      say(pending.size ? "Some fields are not saved" : "All changes saved", pending.size ? "bad" : "");
      for (const [name, theirs] of Object.entries(answer.conflicts)) await choose(name, theirs);
    } catch (error) {
      keep();
      if (error.status >= 400 && error.status < 500 && error.status !== 429) say(error.message, "bad");
      else say("Offline: kept here, trying again", "bad");
    }
  }

  // One request at a time; whoever asks meanwhile waits for the one under way, then for the rest.
  async function flush() {
    while (sending) await sending;
    sending = send();
    try {
      await sending;
    } finally {
      sending = null;
    }
  }

  function changed(input) {
    held.delete(input.name);
    pending.set(input.name, valueOf(input));
    problem(input.name, "");
    keep();
    say("Unsaved changes");
    show();
  }

  // Fields that another answer makes needless are out of the way, with what is in them kept.
  function show() {
    for (const box of form.querySelectorAll("[data-if]")) {
      const input = inputs.get(box.dataset.if);
      if (input) box.hidden = valueOf(input) !== box.dataset.is;
    }
  }

  function last() {
    const sent = changes();
    if (Object.keys(sent).length === 0) return;
    leaves(sent);
    const csrf = document.querySelector('meta[name="csrf-token"]').content;
    fetch(form.dataset.saveUrl, {
      method: "POST",
      keepalive: true,
      credentials: "same-origin",
      headers: { Accept: "application/json", "X-CSRFToken": csrf },
      body: new URLSearchParams({ changes: JSON.stringify(sent) }),
    }).catch(() => {});
  }

  show();
  if ("locked" in form.dataset) return;
  for (const [name, { value, base, unanswered: sent }] of Object.entries(kept())) {
    const input = inputs.get(name);
    if (!input || valueOf(input) === value) continue;
    put(input, value);
    input.dataset.version = base;
    pending.set(name, value);
    if (sent?.length) unanswered.set(name, sent);
  }
  keep();
  show();
  form.addEventListener("input", (event) => {
    if (inputs.has(event.target.name)) changed(event.target);
  });
  setInterval(flush, EVERY_MS);
  addEventListener("online", flush);
  addEventListener("pagehide", last);
  document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && flush());
  addEventListener("beforeunload", (event) => {
    if ([...pending.keys()].some((name) => isSecret(inputs.get(name)) || held.has(name))) event.preventDefault();
  });
  // Links wait until what was typed is saved; when that does not work, it is kept here and they lead on.
  document.addEventListener("click", async (event) => {
    const link = event.target.closest("a[href]");
    if (!link || pending.size === 0 || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || link.target || link.hasAttribute("download")) return;
    event.preventDefault();
    await flush();
    location.assign(link.href);
  });
  document.addEventListener("mobiloud-flush", (event) => event.detail.wait(flush()));
  if (pending.size) flush();
  document.addEventListener("parts-refreshed", countSections);
  countSections();

  function countSections() {
    const states = [...document.querySelectorAll("[data-section-state]")];
    const done = states.filter((state) => state.classList.contains("tone-good")).length;
    document.querySelector("[data-sections-done]").textContent = `${done} of ${states.length}`;
  }
}

// For buttons beside the form, which act on what was saved.
export async function savedFirst() {
  const waits = [];
  document.dispatchEvent(new CustomEvent("mobiloud-flush", { detail: { wait: (promise) => waits.push(promise) } }));
  await Promise.all(waits);
}
