"""Where films come from: folders, lists, pictures, shards."""
