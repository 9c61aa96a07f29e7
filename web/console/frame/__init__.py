"""What every page is made of: the API that it asks, templates, forms, words, and being live."""
