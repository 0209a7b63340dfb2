// What a server imports that renders pages: the page's scripts touch nothing that Node has not.
import { capabilities } from "tallow";
import { isolate } from "tallow/isolation";
import * as page from "./node_modules/tallow/dist/index.js";

console.log(
  JSON.stringify({
    node: capabilities(),
    page: page.capabilities(),
    isolated: await isolate({ serviceWorker: "./isolation-sw.js" }),
  }),
);
