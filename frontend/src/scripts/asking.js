// What both playgrounds share: a request that can be stopped, and telling why it was refused.
export class NotAnswered extends Error {}

const SESSION_OVER = new Set([401, 410]);

// Sends `body` and returns the response; NotAnswered says why there is none. Aborting throws an AbortError.
export async function ask(endpoint, body, signal) {
  let response;
  try {
    response = await fetch(endpoint, {
      method: "POST",
      credentials: "same-origin",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new NotAnswered("We cannot be reached. Check your connection and try again.");
  }
  if (response.ok) return response;
  if (SESSION_OVER.has(response.status)) location.reload();
  let message = "";
  try {
    message = (await response.json()).message;
  } catch {
    // A proxy's page, say: the status has to do.
  }
  throw new NotAnswered(message || `No answer (status ${response.status}). Please try again.`);
}

export const seconds = (milliseconds) => `${(milliseconds / 1000).toFixed(milliseconds < 10_000 ? 2 : 1)} s`;

// Whom an answer is from, when a small model stands in for the plan's own.
export const servedBy = (response) => response.headers.get("x-served-by") || "";
