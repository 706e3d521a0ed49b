import { startCopy } from "./scripts/copy.js";
import { startEvents } from "./scripts/events.js";
import { startExports } from "./scripts/exports.js";
import { startForms } from "./scripts/forms.js";
import { startMenus } from "./scripts/menus.js";
import { follow } from "./scripts/progress.js";
import { startNavigation } from "./scripts/navigation.js";
import { startRotation } from "./scripts/rotation.js";
import { startSecrets } from "./scripts/secrets.js";
import { startTheme } from "./scripts/theme.js";
import { startWatching } from "./scripts/watching.js";

startTheme();
startMenus();
startCopy();
startSecrets();
startRotation();
startEvents();
startForms();
startExports();
startNavigation();
startWatching();

// The page of a resource that is being made: its end changes the whole page.
const provisioning = document.querySelector("[data-provisioning]");
if (provisioning) follow(provisioning, () => location.reload());
