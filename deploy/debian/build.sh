#!/bin/sh
# Builds countersign_VERSION_ARCH.deb with nothing but Go and dpkg-deb.
#
#   deploy/debian/build.sh [FOLDER]     writes it there; bin/ when left out
#
# VERSION names another version than the commit's, and PROGRAM is a program that was
# built before.
set -eu
cd "$(dirname "$0")/../.."
out=${1:-bin}
version=${VERSION:-$(git describe --tags 2>/dev/null | sed 's/^v//' || true)}
[ -n "$version" ] || version=0~$(git log -1 --format=%cd.%h --date=format:%Y%m%d)
arch=$(dpkg --print-architecture)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"

if [ -n "${PROGRAM:-}" ]; then
	install -D -m 755 "$PROGRAM" "$root/usr/bin/countersign"
else
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$version" -o "$root/usr/bin/" ./cmd/countersign
fi
install -D -m 644 deploy/countersign.service "$root/usr/lib/systemd/system/countersign.service"
install -D -m 644 LICENSE "$root/usr/share/doc/countersign/copyright"
install -D -m 640 deploy/debian/countersign.yaml "$root/etc/countersign/countersign.yaml"
mkdir -p "$root/usr/share/bash-completion/completions" "$root/DEBIAN"
"$root/usr/bin/countersign" completion bash > "$root/usr/share/bash-completion/completions/countersign"
"$root/usr/bin/countersign" man "$root/usr/share/man/man1"
gzip -9n "$root"/usr/share/man/man1/*.1
sed -i 's|/usr/local/bin/|/usr/bin/|' "$root/usr/lib/systemd/system/countersign.service"

cat > "$root/DEBIAN/control" <<CONTROL
Package: countersign
Version: $version
Architecture: $arch
Maintainer: Countersign's developers <countersign@localhost>
Section: admin
Priority: optional
Depends: adduser, init-system-helpers (>= 1.54~)
Description: multi-factor authentication on your own machine
 Puts a second factor in front of web applications and network equipment,
 decides everything in one engine, and writes every decision into a log that
 can be verified.
CONTROL
echo /etc/countersign/countersign.yaml > "$root/DEBIAN/conffiles"
install -m 755 deploy/debian/postinst deploy/debian/prerm deploy/debian/postrm "$root/DEBIAN/"

mkdir -p "$out"
dpkg-deb --root-owner-group --build "$root" "$out/countersign_${version}_${arch}.deb"
