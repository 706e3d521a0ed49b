// The JSON editor, on its own page only: it is the largest part of all.
import { startEditor } from "./scripts/mobiloud/editor.js";
import { openWhatWaited } from "./scripts/mobiloud/opening.js";

startEditor();
openWhatWaited();
