"""The five screens of the page, one a file: each builds its parts, shows what lies in the project, and acts on it."""
