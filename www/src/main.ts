/** Where the page begins. */
import { applyTheme, loadTheme } from "./theme.js";
import "./app.js";

applyTheme(loadTheme());
