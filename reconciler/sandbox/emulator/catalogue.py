"""What the emulated cloud sells: server types, locations, images and prices as the real API listed them last.

Source: a copy of the live /server_types, /locations and /pricing of 2026-09-29, the newest there is; images of
2026-10. Prices are net EUR a month without IPv4. Never read by the product, which asks the API.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache

from reconciler.model import Json

EUROPE = ("fsn1", "nbg1", "hel1")
AMERICA = ("ash", "hil")
SINGAPORE = ("sin",)

# id, name, architecture, cores, memory GB, disk GB, cpu, category, then price and traffic (TiB) per
# continent (`-`: not sold there), and whether it is still sold outside America.
_TYPES = """
114 cx23  x86  2   4  40 shared    cost_optimized    5.49/20      -         -         sold
115 cx33  x86  4   8  80 shared    cost_optimized    8.49/20      -         -         sold
116 cx43  x86  8  16 160 shared    cost_optimized   15.99/20      -         -         sold
117 cx53  x86 16  32 320 shared    cost_optimized   29.49/20      -         -         sold
45  cax11 arm  2   4  40 shared    cost_optimized    5.99/20      -         -         sold
93  cax21 arm  4   8  80 shared    cost_optimized   10.49/20      -         -         sold
94  cax31 arm  8  16 160 shared    cost_optimized   20.99/20      -         -         sold
95  cax41 arm 16  32 320 shared    cost_optimized   40.99/20      -         -         sold
108 cpx12 x86  1   2  40 shared    regular_purpose  11.49/20      -        15.49/0.5  sold
109 cpx22 x86  2   4  80 shared    regular_purpose  19.49/20      -        26.49/1    sold
110 cpx32 x86  4   8 160 shared    regular_purpose  35.49/20      -        48.99/2    sold
111 cpx42 x86  8  16 320 shared    regular_purpose  69.49/20      -        93.49/3    sold
112 cpx52 x86 12  24 480 shared    regular_purpose 100.49/20      -       134.49/4    sold
113 cpx62 x86 16  32 640 shared    regular_purpose 129.99/20      -       171.99/5    sold
22  cpx11 x86  2   2  40 shared    regular_purpose   5.49/20   17.49/1     9.99/1     retired
23  cpx21 x86  3   4  80 shared    regular_purpose   9.49/20   31.99/2    18.49/2     retired
24  cpx31 x86  4   8 160 shared    regular_purpose  17.49/20   62.49/3    32.49/3     retired
25  cpx41 x86  8  16 240 shared    regular_purpose  32.49/20  120.49/4    55.49/4     retired
26  cpx51 x86 16  32 360 shared    regular_purpose  70.99/20  237.99/5    99.99/5     retired
96  ccx13 x86  2   8  80 dedicated general_purpose  42.99/20   43.49/1    53.99/1     sold
97  ccx23 x86  4  16 160 dedicated general_purpose  85.99/20   87.49/2   108.49/2     sold
98  ccx33 x86  8  32 240 dedicated general_purpose 138.49/30  140.99/3   174.49/3     sold
99  ccx43 x86 16  64 360 dedicated general_purpose 275.99/40  279.49/4   340.99/4     sold
100 ccx53 x86 32 128 600 dedicated general_purpose 533.49/50  538.49/6   651.99/6     sold
101 ccx63 x86 48 192 960 dedicated general_purpose 853.49/60  859.99/8  1036.49/8     sold
"""

# id, name, zone, country, latitude, longitude, city, description
_LOCATIONS = """
1|fsn1|eu-central|DE|50.47612|12.370071|Falkenstein|Falkenstein DC Park 1
2|nbg1|eu-central|DE|49.452102|11.076665|Nuremberg|Nuremberg DC Park 1
3|hel1|eu-central|FI|60.169855|24.938379|Helsinki|Helsinki DC Park 1
4|ash|us-east|US|39.045821|-77.487073|Ashburn, VA|Ashburn, VA
5|hil|us-west|US|45.54222|-122.951924|Hillsboro, OR|Hillsboro, OR
6|sin|ap-southeast|SG|1.283333|103.833333|Singapore|Singapore
"""

_IMAGES = {
    "debian": ("11", "12", "13"),
    "ubuntu": ("22.04", "24.04", "26.04"),
    "fedora": ("43", "44"),
    "alma": ("8", "9", "10"),
    "rocky": ("8", "9", "10"),
}

_RETIRED = {"announced": "2025-10-16T00:00:00Z", "unavailable_after": "2025-12-31T00:00:00Z"}
_DEBIAN_11_ENDS = {"announced": "2026-08-31T00:00:00Z", "unavailable_after": "2026-11-30T00:00:00Z"}
_TEBIBYTE = 1024**4
_HOURS_IN_MONTHLY_CAP = 624  # every row of the real list agrees with it


@cache
def locations() -> tuple[dict[str, Json], ...]:
    rows = [line.split("|") for line in _LOCATIONS.strip().splitlines()]
    return tuple(
        {
            "id": int(identifier),
            "name": name,
            "description": description,
            "country": country,
            "city": city,
            "latitude": float(latitude),
            "longitude": float(longitude),
            "network_zone": zone,
        }
        for identifier, name, zone, country, latitude, longitude, city, description in rows
    )


@cache
def server_types() -> tuple[dict[str, Json], ...]:
    return tuple(_server_type(line.split()) for line in _TYPES.strip().splitlines())


@cache
def images() -> tuple[dict[str, Json], ...]:
    systems = [f"{flavor}-{version}" for flavor, versions in _IMAGES.items() for version in versions]
    names = [(name, architecture) for name in systems for architecture in ("x86", "arm")]
    return tuple(_image(100 + number, *named) for number, named in enumerate(names))


# Listed by /pricing and sold no more, not even shown by /server_types. Their prices are not known: the successors'.
_FORGOTTEN = ((104, "cx22", "cx23"), (105, "cx32", "cx33"), (106, "cx42", "cx43"), (107, "cx52", "cx53"))


@cache
def pricing() -> dict[str, Json]:
    """The answer of GET /pricing. Floating IPs have no price that we know; the field must be there."""
    everywhere = [str(location["name"]) for location in locations()]
    address: list[Json] = [
        {"location": name, "price_hourly": _money("0.0008"), "price_monthly": _money("0.50")} for name in everywhere
    ]
    free: list[Json] = [
        {"location": name, "price_hourly": _money("0"), "price_monthly": _money("0")} for name in everywhere
    ]
    return {
        "currency": "EUR",
        "vat_rate": "0.000000",
        "primary_ips": [{"type": "ipv4", "prices": address}, {"type": "ipv6", "prices": free}],
        "floating_ips": [],
        "floating_ip": {"price_monthly": _money("0")},
        "image": {"price_per_gb_month": _money("0.0143")},
        "volume": {"price_per_gb_month": _money("0.0572")},
        "server_backup": {"percentage": "20.00"},
        "server_types": [
            *({key: kind[key] for key in ("id", "name", "prices")} for kind in server_types()),
            *({"id": number, "name": name, "prices": server_type(like)["prices"]} for number, name, like in _FORGOTTEN),
        ],
        "load_balancer_types": [{"id": 1, "name": "lb11", "prices": [_price(at, "6.99", "20") for at in EUROPE]}],
    }


@cache
def _types_by_name() -> dict[str, dict[str, Json]]:
    return {str(kind["name"]): kind for kind in server_types()}


@cache
def _locations_by_name() -> dict[str, dict[str, Json]]:
    return {str(place["name"]): place for place in locations()}


@cache
def _images_by_id() -> dict[int, dict[str, Json]]:
    return {int(str(image["id"])): image for image in images()}


def server_type(name: str) -> dict[str, Json]:
    return _types_by_name()[name]


def location(name: str) -> dict[str, Json]:
    return _locations_by_name()[name]


def image(identifier: int) -> dict[str, Json] | None:
    return _images_by_id().get(identifier)


def architecture(type_name: str) -> str:
    return str(server_type(type_name)["architecture"])


def size(type_name: str, of: str) -> int:
    """`of` is "cores" or "disk" (GB)."""
    return int(str(server_type(type_name)[of]))


def memory_mb(type_name: str) -> int:
    return int(float(str(server_type(type_name)["memory"])) * 1024)


@cache
def initial_stock() -> dict[tuple[str, str], bool]:
    """(type, location) -> can be ordered, for everything with a price: a good day; being sold out is a fault to set."""
    stock: dict[tuple[str, str], bool] = {}
    for line in _TYPES.strip().splitlines():
        fields = line.split()
        for location, _, _ in _offers(fields):
            stock[fields[1], location] = fields[11] == "sold" or location in AMERICA
    return stock


def _server_type(fields: list[str]) -> dict[str, Json]:
    identifier, name, architecture, cores, memory, disk, cpu, category = fields[:8]
    return {
        "id": int(identifier),
        "name": name,
        "description": _description(name),
        "cores": int(cores),
        "memory": float(memory),
        "disk": int(disk),
        "prices": [_price(location, net, traffic) for location, net, traffic in _offers(fields)],
        "storage_type": "local",
        "cpu_type": cpu,
        "category": category,
        "architecture": architecture,
        "deprecation": None,
        "locations": [_offer(location, fields[11]) for location, _, _ in _offers(fields)],
    }


def _offers(fields: list[str]) -> list[tuple[str, str, str]]:
    """(location, net a month, traffic in TiB) for every location that has a price."""
    continents = zip((EUROPE, AMERICA, SINGAPORE), fields[8:11], strict=True)
    priced = [(names, offer.split("/")) for names, offer in continents if offer != "-"]
    return [(name, net, traffic) for names, (net, traffic) in priced for name in names]


def _offer(location: str, stock: str) -> dict[str, Json]:
    """An entry of `locations[]`; its `available` is filled in by the world, which keeps the stock."""
    identifier = next(known["id"] for known in locations() if known["name"] == location)
    retired = stock == "retired" and location not in AMERICA
    return {"id": identifier, "name": location, "deprecation": dict(_RETIRED) if retired else None}


def _price(location: str, monthly: str, traffic: str) -> dict[str, Json]:
    hourly = (Decimal(monthly) / _HOURS_IN_MONTHLY_CAP).quantize(Decimal("0.0001"))
    return {
        "location": location,
        "price_hourly": _money(str(hourly)),
        "price_monthly": _money(monthly),
        "included_traffic": int(Decimal(traffic) * _TEBIBYTE),
        "price_per_tb_traffic": _money("7.40" if location in SINGAPORE else "1.00"),
    }


def _money(net: str) -> dict[str, Json]:
    """Decimal strings of the real API's lengths; gross equals net at a VAT rate of 0."""
    return {"net": f"{Decimal(net):.10f}", "gross": f"{Decimal(net):.16f}"}


def _description(name: str) -> str:
    if name.startswith("cpx"):
        return f"CPX {name[3:]}"
    return f"{name.upper()} Dedicated CPU" if name.startswith("ccx") else name.upper()


def _image(identifier: int, name: str, architecture: str) -> dict[str, Json]:
    flavor, version = name.split("-")
    return {
        "id": identifier,
        "type": "system",
        "status": "available",
        "name": name,
        "description": f"{flavor.capitalize()} {version}",
        "image_size": None,
        "disk_size": 5,
        "created": "2026-01-15T08:00:00Z",
        "created_from": None,
        "bound_to": None,
        "os_flavor": flavor,
        "os_version": version,
        "rapid_deploy": True,
        "protection": {"delete": False},
        "deprecation": dict(_DEBIAN_11_ENDS) if name == "debian-11" else None,
        "deleted": None,
        "labels": {},
        "architecture": architecture,
    }
