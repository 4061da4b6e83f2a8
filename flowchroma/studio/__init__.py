"""A page in the browser on which a film is worked from gray to coloured; Gradio is imported where it is built."""
