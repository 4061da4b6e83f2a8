"""What is decided about a film before it is coloured. Importing this room needs neither OpenCV nor PyAV."""
