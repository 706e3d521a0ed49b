// A page with [data-watch] shows work that goes on: its parts are taken anew every few seconds until that has ended.
import { refreshParts } from "./refresh.js";

const PAUSE = 3000;

async function look() {
  if (document.hidden || document.querySelector("dialog[open]")) return schedule();
  try {
    await refreshParts();
  } catch {
    return schedule();
  }
  if (document.querySelector("[data-watch]")) schedule();
  else location.reload();
}

function schedule() {
  setTimeout(look, PAUSE);
}

export function startWatching() {
  if (document.querySelector("[data-watch]")) schedule();
}
