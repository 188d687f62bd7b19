// Draws the figures that turn: each stands as JSON beside its picture, which gives way to it.
for (const figure of document.querySelectorAll("figure.turns")) {
  const { data, layout } = JSON.parse(figure.querySelector("script").textContent);
  const drawn = document.createElement("div");
  figure.append(drawn);
  globalThis.Plotly.newPlot(drawn, data, layout, { responsive: true, displaylogo: false })
    .then(() => figure.querySelector("img")?.remove());
}
