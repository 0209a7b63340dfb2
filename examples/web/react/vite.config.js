// With these headers a model has several threads; without them it has one. The server that a built page is put on sends
// them as well, or not.
const headers = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

export default { server: { headers }, preview: { headers } };
