"""How the page looks: fonts of the reader's machine, and colours that can be read on each other, light and dark."""

from pathlib import Path

import gradio as gr

_FOLDER = Path(__file__).parent
STYLE, SCRIPT = _FOLDER / "studio.css", _FOLDER / "studio.js"
_FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif")
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")
# In light and in dark; text has a contrast of 4.5 or more on whatever it stands on.
_PAPER, _CARD = ("#ffffff", "#15171a"), ("#f6f7f8", "#1e2125")
_INK, _SOFT = ("#1b1d21", "#e7e9ec"), ("#555b63", "#a9afb8")
_RULE, _KEY = ("#c9cdd2", "#474d55"), ("#e9ebee", "#2c3036")
_LINK, _ON_LINK = ("#0060a0", "#7cc0f0"), ("#ffffff", "#10202c")
_COLOURS = {
    _PAPER: "body_background_fill background_fill_primary block_background_fill input_background_fill"
    " block_label_background_fill block_title_background_fill checkbox_background_color",
    _CARD: "background_fill_secondary panel_background_fill",
    _INK: "body_text_color block_label_text_color block_title_text_color block_info_text_color accordion_text_color"
    " button_secondary_text_color button_secondary_text_color_hover checkbox_label_text_color"
    " checkbox_label_text_color_selected",
    _SOFT: "body_text_color_subdued input_placeholder_color",
    _RULE: "border_color_primary block_border_color input_border_color checkbox_border_color"
    " button_secondary_border_color checkbox_label_border_color",
    _KEY: "button_secondary_background_fill button_secondary_background_fill_hover checkbox_label_background_fill"
    " checkbox_label_background_fill_hover checkbox_label_background_fill_selected",
    _LINK: "link_text_color link_text_color_hover link_text_color_active link_text_color_visited slider_color"
    " button_primary_background_fill button_primary_background_fill_hover border_color_accent loader_color"
    " checkbox_background_color_selected checkbox_border_color_selected checkbox_border_color_focus"
    " input_border_color_focus",
    _ON_LINK: "button_primary_text_color button_primary_text_color_hover",
}


def theme() -> gr.Theme:
    """Gradio's plainest theme in these colours."""
    values: dict[str, str] = {}
    for (light, dark), names in _COLOURS.items():
        for name in names.split():
            values |= {name: light, f"{name}_dark": dark}
    return gr.themes.Base(font=_FONT, font_mono=_MONO, radius_size="sm").set(**values)
