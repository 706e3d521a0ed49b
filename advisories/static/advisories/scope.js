// The live count of an advisory's scope: asked for anew a moment after the last change of the form.
const form = document.querySelector("[data-scope-url]");
const told = document.querySelector("[data-scope-count]");

async function count() {
  const answer = await fetch(form.dataset.scopeUrl, {
    method: "POST",
    body: new FormData(form),
    headers: { Accept: "application/json" },
  });
  const found = await answer.json().catch(() => ({ message: "The number could not be read." }));
  if (!answer.ok) {
    told.textContent = found.message;
    return;
  }
  const number = `${found.count.toLocaleString("en")} ${found.count === 1 ? "resource" : "resources"}`;
  const rest = found.count > found.sample.length ? ", …" : "";
  told.textContent = found.count ? `${number} affected now: ${found.sample.join("; ")}${rest}` : "No resource is affected now.";
}

if (form && told) {
  let waiting;
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(count, 300);
  });
  count();
}

// An uploaded list: every uuid in the file, whatever stands around it, goes into the field above, which is what is saved.
const UUID = /[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}/gi;
form?.querySelector("[data-uuids-file]")?.addEventListener("change", async (event) => {
  const [file] = event.target.files;
  if (!file) return;
  const found = (await file.text()).match(UUID);
  const field = form.querySelector("[name=uuids]");
  if (found) field.value = [...new Set(found)].join("\n");
  else told.textContent = "No uuid stands in this file.";
  if (found) field.dispatchEvent(new Event("input", { bubbles: true }));
});
