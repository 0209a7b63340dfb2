import { loadModel } from "tallow";
import { answer } from "./answer.js";

await answer(loadModel);
