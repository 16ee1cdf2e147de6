"""Images as PNG files that say that they are synthetic, and what made them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from augsynth.errors import AugsynthError
from augsynth.provenance import Provenance

# What the IPTC calls media made by a model that was trained on sampled content.
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
_KEY, _XMP_KEY = "augsynth", "XML:com.adobe.xmp"
_XMP = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
   Iptc4xmpExt:DigitalSourceType="{SOURCE_TYPE}"/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>"""
CHANNELS = (1, 3, 4)


def encode(image: np.ndarray, provenance: Provenance | None) -> bytes:
    """Return a PNG of an image `(C, H, W)` uint8, C of 1, 3 or 4, with provenance and XMP source type in its text."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    about = PngInfo()
    about.add_itxt(_XMP_KEY, _XMP)
    if provenance is not None:
        about.add_itxt(_KEY, provenance.to_json())
    pixels = image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0))
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "PNG", pnginfo=about)
    return target.getvalue()


def provenance_of(path: str | Path) -> Provenance | None:
    """Read what made the image in a PNG file; None where the file does not say.

    Raises: AugsynthError for a file that is no image, or says it in a way that this version does not know.
    """
    text = _texts(Path(path)).get(_KEY)
    if text is None:
        return None
    try:
        return Provenance.from_dict(json.loads(text))
    except (TypeError, ValueError) as error:
        raise AugsynthError(f"{path} says what made it in a way that this version does not know: {error}") from error


def source_type_of(path: str | Path) -> str | None:
    """Return the IPTC digital source type that the XMP packet of a PNG file names, None where there is none."""
    packet = str(_texts(Path(path)).get(_XMP_KEY, ""))
    _, found, rest = packet.partition('Iptc4xmpExt:DigitalSourceType="')
    return rest.partition('"')[0] if found else None


def _texts(path: Path) -> dict[str, Any]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            picture.load()
            return {str(key): value for key, value in picture.info.items()}
    except (OSError, UnidentifiedImageError) as error:
        raise AugsynthError(f"{path} cannot be read as an image: {error}") from error
