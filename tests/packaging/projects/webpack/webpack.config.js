export default {
  mode: "production",
  entry: "./main.js",
  output: { filename: "main.js", clean: true },
  // Else webpack warns of every file above 244 KiB.
  performance: { maxAssetSize: 4_000_000 },
};
