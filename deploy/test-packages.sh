#!/bin/sh
# Installs from Debian what the tests start and talk to. Runs as root or with
# sudo; does nothing, quickly, when everything is there already.
set -eu

# One package a line, with what it is for.
packages=$(sed 's/#.*//' <<'LIST'
apache2             # the site of mod_auth_mellon
age                 # an independent reader of backups
ca-certificates     # downloads of Go modules
chromium            # the pages, with a virtual authenticator
caddy               # forward-auth
curl                # requests to a local socket
dovecot-auth-lua    # app passwords at a mail server
dovecot-imapd       # a mail server that takes tokens and app passwords
dovecot-managesieved # the same: filters
dovecot-pop3d       # the same: POP3
expect              # conversations on a terminal
fcgiwrap            # CGI programs behind a proxy
freeradius          # the peer that make bench-peers measures
freeradius-postgresql # the same, on PostgreSQL
freeradius-common   # the dictionaries of RADIUS attributes
freeradius-utils    # radclient: an independent RADIUS client
gcc                 # pam/, and the race detector
git                 # version stamps, and a client of repositories
git-credential-oauth # its sign-in by OpenID
haproxy             # forward-auth
jq                  # compares what a destination has with the audit log
ldap-utils          # ldapsearch, ldapwhoami: an independent LDAP client
jq                  # reads answers of the command line, as the documents show
libc6-dev           # pam/
libengine-pkcs11-openssl # curl with a key on a card
libapache2-mod-auth-mellon # an application with SAML
libnss3-tools       # certificates and cards for Chromium
libpam-oath         # codes of a list as PAM stacks check them
libpam-radius-auth  # RADIUS as PAM stacks speak it
libpam-yubico       # YubiKeys as PAM stacks ask for them
libpam0g-dev        # pam/
libykclient-dev     # ykclient: Yubico's own validation client
libyubikey-dev      # ykgenerate: an independent YubiKey
lighttpd            # the same, by another server
make                # this
libapache2-mod-auth-openidc # Apache as an OpenID client
nginx-light         # forward-auth
oathtool            # an independent TOTP and HOTP
openssh-client      # ssh
openssh-server      # sshd
opensc              # pkcs11-tool: puts keys on cards
openssl             # certificates, and a second opinion on signatures
pamtester           # PAM conversations
pgbouncer           # a pooler in front of PostgreSQL
php-cli             # PHP's own server behind a proxy
php-fpm             # PHP behind a proxy, by FastCGI
php-sqlite3         # webmail
postfix             # submission, which asks Dovecot about senders
postgresql          # the second store
procps              # ps
prometheus          # promtool: checks the alert rules and the dashboard's queries
python3             # WSGI behind a proxy
roundcube-core      # webmail that people sign in to by OpenID
roundcube-plugins   # the same: filters
roundcube-sqlite3   # the same, without a database of its own
rsyslog             # a receiver of the audit log
rsyslog-gnutls      # the same, by TLS
softhsm2            # smart cards in software
sqlite3             # webmail's database
sshpass             # ssh without a terminal
sudo                # approvals
swaks               # mail
umoci               # the OCI image
zbar-tools          # reads the QR codes that pages show
LIST
)

missing() {
	for p in $packages; do
		case $(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null || true) in
		installed) ;;
		*) printf '%s ' "$p" ;;
		esac
	done
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	echo "This is not Debian. Install what these packages hold, then run: go test ./..." >&2
	echo "$packages" >&2
	exit 1
fi

want=$(missing)
[ -n "$want" ] || exit 0
echo "Installing for the tests: $want"

root=
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || { echo "Run deploy/test-packages.sh as root: there is no sudo." >&2; exit 1; }
	root="sudo -n"
fi

# No package may start a service: the tests start their own, on loopback.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	trap '$root rm -f $policy' EXIT
	printf '#!/bin/sh\nexit 101\n' | $root tee $policy >/dev/null
	$root chmod 755 $policy
fi

install() {
	$root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
		-o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold \
		install --no-install-recommends $want
}

# The lists that are there are tried first; they are fetched when they are too
# old or absent.
install 2>/dev/null || { $root apt-get -qq -o DPkg::Lock::Timeout=600 update && install; }

left=$(missing)
[ -z "$left" ] || { echo "Not installed: $left" >&2; exit 1; }
