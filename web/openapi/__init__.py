"""The API's description of itself: the OpenAPI document, and the pages that show it."""
