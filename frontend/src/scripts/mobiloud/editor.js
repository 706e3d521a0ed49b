// The whole configuration in an editor: syntax is checked here at once, everything else by the server, which knows the
// schema; what it finds is shown at its line and in a list below.
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { json, jsonParseLinter } from "@codemirror/lang-json";
import { bracketMatching, foldGutter, foldKeymap, HighlightStyle, indentOnInput, syntaxHighlighting, syntaxTree } from "@codemirror/language";
import { forceLinting, linter, lintGutter, lintKeymap } from "@codemirror/lint";
import { EditorState } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { post } from "../http.js";
import { toast } from "../toasts.js";
import { chooseVersion, reloadForFrames, saveState } from "./saving.js";

const colors = HighlightStyle.define([
  { tag: tags.propertyName, color: "var(--aw-accent-ink)" },
  { tag: tags.string, color: "var(--aw-ink)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--aw-info)" },
  { tag: tags.punctuation, color: "var(--aw-ink-2)" },
]);
const unescape = (part) => part.replaceAll("~1", "/").replaceAll("~0", "~");

// The place of a JSON pointer in the text: its value, or the nearest thing around it that is there.
function find(state, pointer) {
  let node = syntaxTree(state).topNode.firstChild;
  for (const part of pointer.split("/").slice(1).map(unescape)) {
    let next = null;
    if (node?.name === "Object") {
      for (let child = node.firstChild; child; child = child.nextSibling) {
        if (child.name !== "Property") continue;
        const key = child.getChild("PropertyName");
        if (key && JSON.parse(state.sliceDoc(key.from, key.to)) === part) next = child.lastChild;
      }
    } else if (node?.name === "Array") {
      const items = [];
      for (let child = node.firstChild; child; child = child.nextSibling) if (!["[", "]", ",", "⚠"].includes(child.name)) items.push(child);
      next = items[Number(part)] ?? null;
    }
    if (!next) break;
    node = next;
  }
  return node ?? { from: 0, to: 0 };
}

export function startEditor() {
  const form = document.querySelector("[data-document]");
  if (!form) return;
  const holder = form.querySelector("[data-editor]");
  const area = holder.querySelector("textarea");
  const readOnly = "readOnly" in holder.dataset;
  const state = saveState(form);
  const problemBox = form.querySelector("[data-problems]");
  let saved = area.value;

  function list(view, found) {
    problemBox.hidden = found.length === 0;
    form.querySelector("[data-problems-heading]").textContent = found.length === 1 ? "1 problem" : `${found.length} problems`;
    form.querySelector("[data-problem-list]").replaceChildren(
      ...found.map(({ from, message, path }) => {
        const line = view.state.doc.lineAt(Math.min(from, view.state.doc.length)).number;
        const row = document.createElement("li");
        const button = document.createElement("button");
        button.type = "button";
        button.className = "btn-link";
        button.textContent = `Line ${line}`;
        button.addEventListener("click", () => {
          view.dispatch({ selection: { anchor: from }, scrollIntoView: true });
          view.focus();
        });
        const place = document.createElement("code");
        place.textContent = path ?? "";
        row.append(button, " ", place, " ", message);
        return row;
      }),
    );
  }

  function placed(view, problems) {
    return problems.map(({ path, message, line }) => {
      const at = line ? view.state.doc.line(Math.min(line, view.state.doc.lines)) : find(view.state, path);
      // What concerns a whole object is marked at its first line, not over all of it.
      const to = Math.min(at.to, view.state.doc.lineAt(at.from).to);
      return { from: at.from, to, severity: "error", message, path };
    });
  }

  const syntax = jsonParseLinter();
  async function check(view) {
    const text = view.state.doc.toString();
    let found = syntax(view).map((one) => ({ ...one, path: "" }));
    if (found.length === 0 && !readOnly) {
      try {
        const answer = await post(form.dataset.checkUrl, { value: text });
        if (view.state.doc.toString() !== text) return [];
        found = placed(view, answer.problems);
      } catch {
        // Saving will say what is wrong; typing must not.
        return [];
      }
    }
    list(view, found);
    return found;
  }

  const view = new EditorView({
    parent: holder,
    doc: saved,
    extensions: [
      EditorView.cspNonce.of(document.querySelector("script[nonce]").nonce),
      lineNumbers(), foldGutter(), history(), drawSelection(), indentOnInput(), bracketMatching(), highlightActiveLine(),
      json(), syntaxHighlighting(colors), linter(check, { delay: 500 }), lintGutter(),
      EditorView.lineWrapping,
      EditorView.contentAttributes.of({ "aria-label": "Configuration as JSON", spellcheck: "false" }),
      EditorState.readOnly.of(readOnly),
      keymap.of([{ key: "Mod-s", run: () => (form.requestSubmit(), true) }, ...defaultKeymap, ...historyKeymap, ...foldKeymap, ...lintKeymap]),
      EditorView.updateListener.of((update) => {
        if (!update.docChanged) return;
        const differs = text() !== saved;
        state.dirty(differs);
        document.dispatchEvent(new CustomEvent("mobiloud-unsaved", { detail: { differs } }));
      }),
    ],
  });
  area.hidden = true;
  const text = () => view.state.doc.toString();
  const put = (value) => view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: value } });

  form.querySelector("[data-format]")?.addEventListener("click", () => {
    try {
      put(JSON.stringify(JSON.parse(text()), null, 2));
    } catch {
      form.querySelector("[data-problem]").textContent = "This is not JSON yet, so it cannot be formatted.";
    }
  });

  async function save() {
    const problem = form.querySelector("[data-problem]");
    problem.textContent = "";
    state.saving();
    const mine = text();
    try {
      const answer = await post(form.action, { base: form.dataset.revision, value: mine });
      const untouched = text() === mine;
      saved = answer.value;
      if (untouched && text() !== saved) put(saved);
      state.saved(answer.revision);
      state.dirty(text() !== saved);
      list(view, []);
      document.dispatchEvent(new CustomEvent("mobiloud-saved", { detail: answer }));
      toast(answer.message);
      if (!state.isDirty()) reloadForFrames(answer.frame_sources);
    } catch (error) {
      state.failed();
      if (error.status === 409 && error.content.current) {
        const { current } = error.content;
        const choice = await chooseVersion({ message: error.message, current, mine });
        if (choice === "theirs") {
          saved = current.value;
          put(saved);
          state.saved(current.revision);
        } else if (choice === "mine") {
          form.dataset.revision = current.revision;
          await save();
        }
      } else {
        problem.textContent = error.message;
        if (error.content?.problems) forceLinting(view);
      }
    }
  }

  let saving = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (saving) return;
    saving = true;
    await save();
    saving = false;
  });
}
