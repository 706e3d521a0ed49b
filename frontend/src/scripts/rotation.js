// The rotation dialogs, and the progress of what they start.
import { get, pageHasEnded, post } from "./http.js";
import { follow } from "./progress.js";
import { refreshParts } from "./refresh.js";
import { toast } from "./toasts.js";

function announce(operation) {
  if (operation.state === "succeeded") toast("Credentials rotated. Your app restarts with the new ones.");
  else toast(operation.message, { bad: true });
  document.querySelector("[data-credentials-heading]")?.focus();
}

async function followRotation() {
  const box = document.querySelector("[data-rotation-progress]");
  if (!box || box.dataset.followed) return;
  box.dataset.followed = "yes";
  await follow(box, async (operation) => {
    await refreshParts();
    announce(operation);
  });
}

export function startRotation() {
  followRotation();
  document.addEventListener("parts-refreshed", followRotation);
  document.addEventListener("submit", async (event) => {
    const form = event.target.closest("[data-rotation-form]");
    if (!form) return;
    event.preventDefault();
    const button = form.querySelector('[type="submit"]');
    if (button.disabled) return;
    button.disabled = true;
    const problem = form.querySelector("[data-problem]");
    problem.textContent = "";
    try {
      const { started, progress_url: url } = await post(form.action, new FormData(form));
      form.closest("dialog").close();
      form.reset();
      if (!started) toast("This rotation was already under way.");
      await refreshParts();
      // Over before the page was fetched anew: nothing is left to follow, only to tell.
      if (!document.querySelector("[data-rotation-progress]")) announce(await get(url));
    } catch (error) {
      if (pageHasEnded(error)) location.reload();
      problem.textContent = error.message;
    } finally {
      button.disabled = false;
    }
  });
}
