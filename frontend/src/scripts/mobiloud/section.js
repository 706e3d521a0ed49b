// One of the four forms: what the page was sent, what is in the fields, and saving it. Keys that the form has no field
// for are kept: rows remember the object they were made from.
import { post } from "../http.js";
import { toast } from "../toasts.js";
import { startColors } from "./colors.js";
import { startIcons } from "./icons.js";
import { startList } from "./list.js";
import { chooseVersion, reloadForFrames, saveState } from "./saving.js";

const SAID = "said-after-reload";
const outside = (input) => !input.closest("[data-row]");

export function startSection() {
  const form = document.querySelector("[data-section]");
  if (!form) return;
  const name = form.dataset.section;
  const configuration = JSON.parse(document.getElementById("configuration").textContent);
  let saved = configuration[name];
  const state = saveState(form);
  const scalars = [...form.querySelectorAll("[data-key]")].filter(outside);
  const listElement = form.querySelector("[data-list]");
  const icons = startIcons();
  const list = listElement && startList(listElement, { changed, drawn: (row) => icons?.draw(row) });
  icons?.start(form, changed);

  function fill(value) {
    for (const input of scalars) input.value = value[input.dataset.key] ?? "";
    list?.fill(value[listElement.dataset.list]);
    colors?.update();
  }

  function read() {
    const value = { ...saved };
    for (const input of scalars) value[input.dataset.key] = input.value.trim();
    if (list) value[listElement.dataset.list] = list.read();
    return value;
  }

  function changed() {
    const value = read();
    const differs = JSON.stringify(value) !== JSON.stringify(saved);
    state.dirty(differs);
    document.dispatchEvent(new CustomEvent("mobiloud-draft", { detail: { section: name, value, differs } }));
  }

  const colors = startColors(form, changed);

  function clearProblems() {
    for (const message of form.querySelectorAll(".field-problem")) message.remove();
    for (const input of form.querySelectorAll("[aria-invalid]")) {
      input.removeAttribute("aria-invalid");
      input.removeAttribute("aria-errormessage");
    }
    form.querySelector("[data-problem]").textContent = "";
  }

  // "/menu/tabs/1/label" is the field `label` of the second row.
  function place(problem) {
    const [, , key, number, cell] = problem.path.split("/");
    if (cell !== undefined) return list?.rows()[Number(number)]?.querySelector(`[data-key="${cell}"]`);
    return scalars.find((input) => input.dataset.key === key);
  }

  function showProblems(problems) {
    let first;
    for (const [number, problem] of problems.entries()) {
      const input = place(problem);
      if (!input) continue;
      const message = document.createElement("span");
      message.className = "field-problem";
      message.id = `field-problem-${number}`;
      message.textContent = problem.message;
      (input.closest(".field") ?? input.closest("[data-row]")).append(message);
      input.setAttribute("aria-invalid", "true");
      input.setAttribute("aria-errormessage", message.id);
      first ??= input.type === "hidden" ? input.closest("[data-row]").querySelector("[data-pick-icon]") : input;
    }
    first?.focus();
    const count = problems.length;
    form.querySelector("[data-problem]").textContent =
      count === 1 ? "One field needs your attention." : `${count} fields need your attention.`;
  }

  async function save() {
    clearProblems();
    state.saving();
    const mine = read();
    try {
      const answer = await post(form.action, { section: name, base: form.dataset.revision, value: JSON.stringify(mine) });
      accept(answer.revision, answer.value, answer.configuration);
      // What was typed while the answer was on its way stays.
      if (JSON.stringify(read()) === JSON.stringify(mine)) fill(saved);
      changed();
      if (!state.isDirty()) {
        sessionStorage.setItem(SAID, answer.message);
        if (reloadForFrames(answer.frame_sources)) return;
        sessionStorage.removeItem(SAID);
      }
      toast(answer.message);
    } catch (error) {
      state.failed();
      if (error.status === 409 && error.content.current) await settle(error, mine);
      else if (error.content?.problems) showProblems(error.content.problems);
      else form.querySelector("[data-problem]").textContent = error.message;
    }
  }

  function accept(revision, value, whole) {
    saved = value;
    state.saved(revision);
    document.dispatchEvent(new CustomEvent("mobiloud-saved", { detail: { revision, configuration: whole } }));
  }

  async function settle(error, mine) {
    const { current } = error.content;
    const choice = await chooseVersion({ message: error.message, current, mine });
    if (choice === "theirs") {
      accept(current.revision, current.value, current.configuration);
      fill(saved);
      changed();
    } else if (choice === "mine") {
      form.dataset.revision = current.revision;
      await save();
    }
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (form.ariaBusy === "true") return;
    form.ariaBusy = "true";
    await save();
    form.ariaBusy = "false";
  });
  form.addEventListener("input", changed);
  fill(saved);
  changed();
}
