"""Pages and cards for people: one theme, one set of templates, typed records as input."""
