// Not in the page itself: its content security policy allows no script there.
window.addEventListener("load", () => {
  SwaggerUIBundle({
    // Whole: a page that was opened as http://user:password@… may not fetch relative to itself.
    url: location.origin + "/openapi.json",
    dom_id: "#api",
    deepLinking: true,
    docExpansion: "list",
    // No badge from another server.
    validatorUrl: null,
  });
});
