// What pages do besides showing: each part is in a module of its own, and pages work without them.
import "./times.js";
import "./preferences.js";
import "./dialogs.js";
import "./keyboard.js";
import "./charts.js";
import "./saved.js";
import "./copy.js";
import "./live.js";

document.documentElement.classList.add("scripted");
