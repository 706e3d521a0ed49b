// What the forms and the editor share: the state beside the button, the choice after a 409, and asking before leaving.
const pretty = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));

export function saveState(form) {
  const place = form.querySelector("[data-save-state]");
  const revision = form.querySelector("[data-revision-label]");
  let dirty = false;
  addEventListener("beforeunload", (event) => {
    if (dirty) event.preventDefault();
  });
  return {
    isDirty: () => dirty,
    dirty(now) {
      if (now === dirty) return;
      dirty = now;
      form.classList.toggle("is-dirty", now);
      place.textContent = now ? "Unsaved changes" : "Everything is saved";
    },
    saving() {
      place.textContent = "Saving…";
    },
    failed() {
      place.textContent = "Not saved";
    },
    saved(number) {
      dirty = false;
      form.classList.remove("is-dirty");
      form.dataset.revision = number;
      if (revision) revision.textContent = `Revision ${number}`;
      place.textContent = `Saved as revision ${number}`;
    },
  };
}

// Resolves to "mine", "theirs" or "" (go on editing).
export function chooseVersion({ message, current, mine }) {
  const dialog = document.getElementById("conflict-dialog");
  dialog.querySelector("[data-conflict-text]").textContent =
    `${message} You edited an older one. Choose which is to be the newest.`;
  dialog.querySelector("[data-theirs]").textContent = pretty(current.value);
  dialog.querySelector("[data-mine]").textContent = pretty(mine);
  dialog.showModal();
  return new Promise((resolve) => {
    let choice = "";
    const choose = (what) => () => {
      choice = what;
      dialog.close();
    };
    dialog.querySelector("[data-keep-mine]").onclick = choose("mine");
    dialog.querySelector("[data-take-theirs]").onclick = choose("theirs");
    dialog.addEventListener("close", () => resolve(choice), { once: true });
  });
}

// A page whose policy does not yet allow what the preview has to frame is loaded anew.
export function reloadForFrames(sources) {
  const preview = document.querySelector("[data-preview]");
  const known = new Set((preview?.dataset.sources ?? "").split(" "));
  if (!preview || sources.every((source) => known.has(source))) return false;
  location.reload();
  return true;
}
