"""Sources of films: what each offers (`source`), folders, lists, pictures and shards, and the index of a folder."""
