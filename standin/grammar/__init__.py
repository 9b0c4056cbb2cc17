"""The grammar's texts, and how they are read; `compose` puts messages together from them."""
