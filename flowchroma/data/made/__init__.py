"""Films made on the fly from photographs, with exact flow."""
