/** Where the page begins. */
import { keepPage } from "./offline.js";
import { applyTheme, loadTheme } from "./theme.js";
import "./app.js";

applyTheme(loadTheme());
void keepPage();
