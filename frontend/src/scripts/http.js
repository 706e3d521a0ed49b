// Requests of the dashboard's own buttons. What is refused comes back as {id, message}.
export class Refused extends Error {
  constructor(status, message, content = {}) {
    super(message);
    this.status = status;
    this.content = content;
  }
}

const csrf = () => document.querySelector('meta[name="csrf-token"]')?.content ?? "";

async function answer(response) {
  let content = {};
  try {
    content = await response.json();
  } catch {
    // A proxy's page, say: the status has to do.
  }
  if (!response.ok) {
    throw new Refused(response.status, content.message || "That did not work. Please try again in a minute.", content);
  }
  return content;
}

async function ask(url, options) {
  let response;
  try {
    response = await fetch(url, { credentials: "same-origin", cache: "no-store", ...options });
  } catch {
    throw new Refused(0, "We cannot be reached. Check your connection and try again.");
  }
  return answer(response);
}

export const get = (url) => ask(url, { headers: { Accept: "application/json" } });

export const post = (url, fields) =>
  ask(url, {
    method: "POST",
    headers: { Accept: "application/json", "X-CSRFToken": csrf() },
    body: new URLSearchParams(fields),
  });

export function postFile(url, fields) {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) body.append(name, value);
  return ask(url, { method: "POST", headers: { Accept: "application/json", "X-CSRFToken": csrf() }, body });
}

// A resource that has ended, or a session that has: the page itself says so best.
export const pageHasEnded = (error) => error.status === 401 || error.status === 410;
