// Follows an operation: asks for its state, changes only what changed, and says when it has ended.
import { get, pageHasEnded } from "./http.js";

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 5000;

function show(box, operation) {
  const list = box.querySelector("[data-steps]");
  operation.steps.forEach((step, position) => {
    const item = list.children[position];
    if (item && item.dataset.state !== step.state) {
      item.dataset.state = step.state;
      item.querySelector("[data-step-state]").textContent = step.state;
    }
  });
  const message = box.querySelector("[data-message]");
  if (message.textContent !== operation.message) message.textContent = operation.message;
}

export async function follow(box, onEnd) {
  let wait = FIRST_WAIT_MS;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, wait));
    wait = Math.min(wait * 1.3, LONGEST_WAIT_MS);
    if (!box.isConnected) return;
    let operation;
    try {
      operation = await get(box.dataset.progressUrl);
    } catch (error) {
      if (pageHasEnded(error)) location.reload();
      continue;
    }
    show(box, operation);
    if (operation.finished) {
      onEnd(operation);
      return;
    }
  }
}
