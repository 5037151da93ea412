"""The web page: points are clicked on a video in the browser, followed, corrected and downloaded.

Gradio makes the page with its buttons; the canvas in it is a piece of JavaScript of our own, which
speaks with a few routes beside Gradio's. What a visitor does is kept in Python, in a `Visit`.
"""
