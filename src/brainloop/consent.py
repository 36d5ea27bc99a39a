"""What a person reads before they first look, in plain words."""

__all__ = ["CONSENT", "EPILEPSY", "VERSION"]

CONSENT = (
    "You will look at images that flash by. Meanwhile this computer records the electrical activity of your head, if "
    "you wear a headset, and when you press a key. From that it learns which images are targets to you, and teaches a"
    " classifier. Kept are, under the name you give here: the recording, what was shown when, a decoder of your "
    "responses, and what your responses said of each image. All of it stays in this study's folder on this computer; "
    "nothing is sent over the internet. While you look, computers of the local network can hear which image is shown "
    "and when you press a key (by LSL, so that a laboratory can record it), but not your name. You may stop at any "
    "moment, for any reason, without a disadvantage. You may have a copy of everything that is kept of you, and you "
    "may have it erased; what was learned from it is then learned again without it. This is no medical examination: "
    "nobody will look for findings."
)
"""What a person agrees to before anything is recorded."""

EPILEPSY = (
    "Images will flash at 3 to 10 a second. Flashing light can cause seizures in people with photosensitive epilepsy, "
    "some of whom do not know that they have it. Do not take part if you, or somebody of your close family, ever had a "
    "seizure or fit, or if flashing light has ever made you feel unwell. Look away and stop at once (Esc) if you feel "
    "dizzy, see strangely, or twitch."
)
"""What a person confirms; flashes between 3 and 60 a second can evoke seizures (Fisher et al. 2005, "Photic- and
pattern-induced seizures", Epilepsia 46)."""

VERSION = 1
"""Of these two texts: raised whenever a word of them changes."""
