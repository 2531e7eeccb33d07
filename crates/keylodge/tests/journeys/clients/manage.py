"""What people do with Google's Python libraries for API keys, projects and services, against a running Keylodge.

Usage: manage.py URL TOKEN_FILE. Prints a line for each check; a part that cannot go on ends, and the others go on.
"""

import re
import sys
import traceback

from google.api_core import exceptions
from google.auth import exceptions as auth_exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import api_keys_v2, resourcemanager_v3, service_usage_v1
from google.iam.v1 import options_pb2, policy_pb2
from google.oauth2.credentials import Credentials
from google.protobuf.field_mask_pb2 import FieldMask
from google.type.expr_pb2 import Expr

URL = sys.argv[1]
with open(sys.argv[2]) as file:
    TOKEN = file.read().strip()

PARENT = "projects/default-project/locations/global"
GEMINI = "generativelanguage.googleapis.com"
JULES = "jules.googleapis.com"
SHA1 = "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709"
CONCURRENT = "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff."
UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

failed = 0


def client(kind, credentials=None):
    credentials = credentials or Credentials(token=TOKEN)
    return kind(transport="rest", credentials=credentials, client_options={"api_endpoint": URL})


keys = client(api_keys_v2.ApiKeysClient)
projects = client(resourcemanager_v3.ProjectsClient)
services = client(service_usage_v1.ServiceUsageClient)


def check(what, holds, shown=""):
    global failed
    failed += not holds
    print("ok" if holds else "FAILED", what, "" if holds else " ".join(repr(shown).split()), flush=True)


def refused(what, kind, code, call, reason=None, domain=None):
    """The call raises this, with this HTTP code, and for this reason."""
    try:
        answer = call()
    except exceptions.GoogleAPICallError as error:
        seen = (type(error), error.code, error.reason, error.domain)
        wanted = (kind, code, reason or error.reason, domain or error.domain)
        check(what, seen == wanted, f"{seen} {error}")
        return error
    check(what, False, answer)
    return None


def violated(error):
    """The fields that a BadRequest names."""
    details = error.details if error else []
    return [violation.get("field") for detail in details for violation in detail.get("fieldViolations", [])]


def name(key):
    return f"{PARENT}/keys/{key}"


def create(key_id, parent=PARENT, **fields):
    request = {"parent": parent, "key_id": key_id, "key": api_keys_v2.Key(**fields)}
    return keys.create_key(request=request).result(timeout=30)


def update(key_id, paths, **fields):
    key = api_keys_v2.Key(name=name(key_id), **fields)
    return keys.update_key(key=key, update_mask=FieldMask(paths=paths)).result(timeout=30)


def create_keys():
    operation = keys.create_key(
        parent=PARENT,
        key=api_keys_v2.Key(display_name="Python", annotations={"team": "ml"}),
        key_id="python-1",
    )
    made = operation.result(timeout=30)
    check(
        "create gives a key named by the project's number",
        re.fullmatch(r"projects/\d+/locations/global/keys/python-1", made.name),
        made,
    )
    check("it has what it was given", made.display_name == "Python" and made.annotations == {"team": "ml"}, made)
    check(
        "it has its string, uid, etag and times",
        made.key_string and UUID.fullmatch(made.uid) and made.etag and made.create_time,
        made,
    )
    finished = keys.get_operation(request={"name": operation.operation.name})
    check("the operation can be asked for again", finished.done and finished.name == operation.operation.name, finished)

    unnamed = keys.create_key(parent=PARENT, key=api_keys_v2.Key()).result(timeout=30)
    check("without an id a key is named by its uid", unnamed.name.endswith("/" + unnamed.uid), unnamed)

    application = api_keys_v2.AndroidApplication
    colons = ":".join(re.findall("..", SHA1)).lower()
    kinds = {
        "browser": {"browser_key_restrictions": {"allowed_referrers": ["https://www.example.com/*", "*.example.org"]}},
        "server": {"server_key_restrictions": {"allowed_ips": ["198.51.100.0/24", "2001:db8::/64", "192.0.2.7"]}},
        "android": {
            "android_key_restrictions": {
                "allowed_applications": [application(package_name="com.example.a", sha1_fingerprint=colons)]
            }
        },
        "ios": {"ios_key_restrictions": {"allowed_bundle_ids": ["com.example.ios"]}},
        "targets": {"api_targets": [{"service": GEMINI}, {"service": JULES, "methods": ["CreateSession", "Get*"]}]},
    }
    for kind, restrictions in kinds.items():
        wanted = api_keys_v2.Restrictions(restrictions)
        create(f"python-{kind}", restrictions=wanted)
        kept = keys.get_key(name=name(f"python-{kind}")).restrictions
        for app in wanted.android_key_restrictions.allowed_applications:
            app.sha1_fingerprint = SHA1
        check(f"the {kind} restriction is kept", kept == wanted, kept)


def read_keys():
    pages = list(keys.list_keys(request={"parent": PARENT, "page_size": 2}).pages)
    listed = [key for page in pages for key in page.keys]
    check("list comes in pages", len(pages) > 2 and all(len(page.keys) <= 2 for page in pages), pages)
    names = [key.name.rsplit("/")[-1] for key in listed]
    check("all pages together have each key once", len(names) == len(set(names)) and "python-ios" in names, names)
    check("list shows no strings", not any(key.key_string for key in listed))

    got = keys.get_key(name=name("python-1"))
    check("get shows a key without its string", got.display_name == "Python" and not got.key_string, got.name)
    number = got.name.split("/")[1]
    again = keys.get_key(name=f"projects/{number}/locations/global/keys/python-1")
    check("a project goes by its number too", again == got, again)
    string = keys.get_key_string(name=name("python-1")).key_string
    check(
        "get_key_string shows the string", string and string == keys.get_key_string(name=got.name).key_string, got.name
    )
    found = keys.lookup_key(request={"key_string": string})
    check(
        "lookup finds the key", (found.name, found.parent) == (got.name, f"projects/{number}/locations/global"), found
    )


def update_keys():
    create("python-up", display_name="Old", annotations={"a": "b"}, restrictions={"api_targets": [{"service": GEMINI}]})
    old = keys.get_key(name=name("python-up"))
    new = update("python-up", ["display_name"], display_name="New", annotations={"not": "named"})
    check("update changes what the mask names alone", new.display_name == "New" and new.annotations == {"a": "b"}, new)
    check("update does not show the string", not new.key_string, new.name)
    check("the etag moves on", new.etag != old.etag, new)

    browser = {"browser_key_restrictions": {"allowed_referrers": ["www.example.com/*"]}}
    new = update("python-up", ["restrictions.browser_key_restrictions"], restrictions=browser)
    check(
        "one restriction is set, the targets stay",
        new.restrictions.browser_key_restrictions.allowed_referrers == ["www.example.com/*"]
        and new.restrictions.api_targets[0].service == GEMINI,
        new,
    )
    server = {"server_key_restrictions": {"allowed_ips": ["192.0.2.7"]}}
    new = update("python-up", ["restrictions.server_key_restrictions"], restrictions=server)
    check(
        "another takes its place",
        "browser_key_restrictions" not in new.restrictions
        and new.restrictions.server_key_restrictions.allowed_ips == ["192.0.2.7"],
        new,
    )
    targets = {"api_targets": [{"service": JULES, "methods": ["Get*"]}]}
    new = update("python-up", ["restrictions.api_targets"], restrictions=targets)
    check(
        "targets are set, the restriction stays",
        new.restrictions.api_targets[0].methods == ["Get*"] and "server_key_restrictions" in new.restrictions,
        new,
    )
    new = update("python-up", ["display_name", "annotations"], display_name="Both", annotations={"x": "y"})
    check("two fields change at once", (new.display_name, dict(new.annotations)) == ("Both", {"x": "y"}), new)
    new = update("python-up", ["annotations"])
    check("what is named and not given is emptied", not new.annotations and new.display_name == "Both", new)

    key = api_keys_v2.Key(name=name("python-up"), display_name="No mask")
    new = keys.update_key(key=key).result(timeout=30)
    check(
        "without a mask what is given is set",
        new.display_name == "No mask" and "server_key_restrictions" in new.restrictions,
        new,
    )
    new = keys.update_key(key=api_keys_v2.Key(name=name("python-up")), update_mask=FieldMask()).result(timeout=30)
    check(
        "an empty mask opens nothing",
        new.display_name == "No mask" and "server_key_restrictions" in new.restrictions,
        new,
    )
    new = update("python-up", ["restrictions"])
    check("restrictions that are named and not given are lifted", not new.restrictions, new)
    new = update("python-up", ["*"], display_name="Star")
    check("a star replaces all", new.display_name == "Star" and not new.annotations and not new.restrictions, new)

    new = update("python-up", ["display_name"], display_name="Checked", etag=new.etag)
    check("an update with the etag goes through", new.display_name == "Checked", new)
    stale = lambda: update("python-up", ["display_name"], display_name="Stale", etag=old.etag)
    refused("an update with an old etag is a Conflict", exceptions.Conflict, 409, stale)
    unknown = lambda: update("python-up", ["display_name", "colour"], display_name="Unknown")
    refused("an unknown path in the mask is a BadRequest", exceptions.BadRequest, 400, unknown)
    check("what was refused changed nothing", keys.get_key(name=name("python-up")).display_name == "Checked")


def delete_keys():
    made = create("python-gone")
    stale = lambda: keys.delete_key(request={"name": name("python-gone"), "etag": 'W/"AAAAAAAAAAAAAAAAAAAAAA=="'})
    refused("a delete with another etag is a Conflict", exceptions.Conflict, 409, stale)
    gone = keys.delete_key(request={"name": name("python-gone"), "etag": made.etag}).result(timeout=30)
    check(
        "delete with the etag gives the key, its time and its string",
        gone.delete_time and gone.key_string == made.key_string,
        gone,
    )
    check("a deleted key can be looked at", keys.get_key(name=name("python-gone")).delete_time, made.name)
    check("list leaves it out", made.name not in [key.name for key in keys.list_keys(parent=PARENT)])
    with_deleted = keys.list_keys(request={"parent": PARENT, "show_deleted": True})
    check("show_deleted shows it", [bool(key.delete_time) for key in with_deleted if key.name == made.name] == [True])
    check("lookup finds it", keys.lookup_key(request={"key_string": made.key_string}).name == made.name)
    twice = lambda: keys.delete_key(name=name("python-gone"))
    refused("deleting it twice is a BadRequest", exceptions.BadRequest, 400, twice)
    back = keys.undelete_key(request={"name": name("python-gone")}).result(timeout=30)
    check("undelete brings it back with its string", not back.delete_time and back.key_string == made.key_string, back)
    alive = lambda: keys.undelete_key(request={"name": name("python-gone")})
    refused("undeleting a key that is alive is a BadRequest", exceptions.BadRequest, 400, alive)


def key_mistakes():
    create("python-taken")
    refused("a key that is not there is NotFound", exceptions.NotFound, 404, lambda: keys.get_key(name=name("nothing")))
    refused("a key id in use is a Conflict", exceptions.Conflict, 409, lambda: create("python-taken"))
    error = refused("a bad key id is a BadRequest", exceptions.BadRequest, 400, lambda: create("Not_An_Id"))
    check("it names the field", violated(error) == ["key_id"], error)
    error = refused(
        "a long name is a BadRequest", exceptions.BadRequest, 400, lambda: create("python-long", display_name="x" * 64)
    )
    check("it names the field", violated(error) == ["key.display_name"], error)
    for what, restrictions in {
        "an address that is none": {"server_key_restrictions": {"allowed_ips": ["999.1.1.1"]}},
        "a range with a bad prefix": {"server_key_restrictions": {"allowed_ips": ["198.51.100.0/33"]}},
        "a fingerprint that is none": {
            "android_key_restrictions": {"allowed_applications": [{"package_name": "a.b", "sha1_fingerprint": "AA"}]}
        },
    }.items():
        refused(
            f"{what} is a BadRequest",
            exceptions.BadRequest,
            400,
            lambda: create("python-bad", restrictions=restrictions),
        )
    refused(
        "a project that is not there is Forbidden",
        exceptions.Forbidden,
        403,
        lambda: keys.list_keys(parent="projects/nobody-has-this/locations/global"),
        "IAM_PERMISSION_DENIED",
    )
    refused(
        "a page token of nobody's is a BadRequest",
        exceptions.BadRequest,
        400,
        lambda: keys.list_keys(request={"parent": PARENT, "page_token": "nonsense"}),
    )
    refused(
        "a negative page size is a BadRequest",
        exceptions.BadRequest,
        400,
        lambda: keys.list_keys(request={"parent": PARENT, "page_size": -1}),
    )
    refused(
        "an operation that is not there is NotFound",
        exceptions.NotFound,
        404,
        lambda: keys.get_operation(request={"name": "operations/akmf.p7-1-0b4c2a52-7d0e-4a55-9f2a-6f0a4a0f6f3e"}),
    )


def strangers():
    # The library tries to refresh what a 401 refused, and says that it cannot.
    for what, credentials, kind in [
        ("a wrong token", Credentials(token="wrong"), auth_exceptions.RefreshError),
        ("nobody", AnonymousCredentials(), auth_exceptions.InvalidOperation),
    ]:
        try:
            answer = client(api_keys_v2.ApiKeysClient, credentials).list_keys(parent=PARENT)
            check(f"{what} is turned away", False, answer)
        except kind:
            check(f"{what} is turned away", True)


def manage_projects():
    Project = resourcemanager_v3.Project
    wanted = Project(project_id="python-project", display_name="Python project", labels={"team": "ml"})
    operation = projects.create_project(project=wanted)
    made = operation.result(timeout=30)
    finished = projects.get_operation(request={"name": operation.operation.name})
    check("the operation can be asked for again", finished.done, finished)
    active = Project.State.ACTIVE
    check(
        "create gives an active project with a number",
        re.fullmatch(r"projects/\d+", made.name) and made.state == active,
        made,
    )
    check(
        "it has what it was given",
        (made.project_id, made.display_name, dict(made.labels)) == ("python-project", "Python project", {"team": "ml"}),
        made,
    )
    check("it has an etag and times", made.etag and made.create_time and made.update_time, made)
    check("get by id gives the same", projects.get_project(name="projects/python-project") == made)
    check("get by number gives the same", projects.get_project(name=made.name) == made)
    for query in [
        "",
        "projectId:python-project",
        "id:python-proj*",
        "displayName:Python*",
        "labels.team:ml",
        "state:ACTIVE",
        "labels.team:*",
    ]:
        found = [project.project_id for project in projects.search_projects(query=query)]
        check(f"search finds it by '{query}'", "python-project" in found, found)
    found = list(projects.search_projects(query="projectId:nobody-has-this"))
    check("search finds nothing by another id", found == [], found)
    refused(
        "a list without a parent is a BadRequest", exceptions.BadRequest, 400, lambda: projects.list_projects(parent="")
    )

    change = Project(name="projects/python-project", display_name="Renamed", labels={"team": "ops"})
    new = projects.update_project(project=change, update_mask=FieldMask(paths=["display_name"])).result(timeout=30)
    check(
        "update changes what the mask names alone", new.display_name == "Renamed" and new.labels == {"team": "ml"}, new
    )
    check("the etag moves on", new.etag != made.etag, new)
    new = projects.update_project(project=change, update_mask=FieldMask(paths=["labels"])).result(timeout=30)
    check("labels are replaced", new.labels == {"team": "ops"}, new)

    gone = projects.delete_project(name="projects/python-project").result(timeout=30)
    check("delete asks for deletion", gone.state == Project.State.DELETE_REQUESTED and gone.delete_time, gone)
    refused(
        "deleting it twice is a BadRequest",
        exceptions.BadRequest,
        400,
        lambda: projects.delete_project(name="projects/python-project"),
    )
    elsewhere = "projects/python-project/locations/global"
    refused("a deleted project has no keys", exceptions.Forbidden, 403, lambda: keys.list_keys(parent=elsewhere))
    back = projects.undelete_project(name="projects/python-project").result(timeout=30)
    check("undelete brings it back", back.state == active and not back.delete_time, back)

    refused(
        "an id in use is a Conflict",
        exceptions.Conflict,
        409,
        lambda: projects.create_project(project=Project(project_id="python-project")),
    )
    bad = lambda: projects.create_project(project=Project(project_id="Bad_Id"))
    error = refused("a bad id is a BadRequest", exceptions.BadRequest, 400, bad)
    check("it says which field", error and "project_id contains invalid characters" in error.message, error)
    named = Project(name="projects/1", project_id="python-named")
    refused(
        "a name of the caller's is a BadRequest",
        exceptions.BadRequest,
        400,
        lambda: projects.create_project(project=named),
    )
    refused(
        "a project that is not there is Forbidden",
        exceptions.Forbidden,
        403,
        lambda: projects.get_project(name="projects/nobody-has-this"),
        "IAM_PERMISSION_DENIED",
        "cloudresourcemanager.googleapis.com",
    )


def manage_policies():
    resource = "projects/python-policies"
    projects.create_project(project=resourcemanager_v3.Project(project_id="python-policies")).result(timeout=30)
    first = projects.get_iam_policy(resource=resource)
    owners = [binding for binding in first.bindings if binding.role == "roles/owner"]
    check("a new project has an owner", len(owners) == 1 and len(owners[0].members) > 0, first)
    check("a policy has an etag", first.etag, first)

    until = Expr(title="until", expression="request.time < timestamp('2099-01-01T00:00:00Z')")
    changed = policy_pb2.Policy()
    changed.CopyFrom(first)
    changed.version = 3
    changed.bindings.add(role="roles/viewer", members=["user:ada@example.com"])
    changed.bindings.add(role="roles/viewer", members=["user:bob@example.com", "user:ada@example.com"])
    changed.bindings.add(role="roles/serviceusage.apiKeysViewer", members=["user:eve@example.com"], condition=until)
    changed.bindings.add(role="roles/browser")
    kept = projects.set_iam_policy(request={"resource": resource, "policy": changed})
    members = {binding.role: sorted(binding.members) for binding in kept.bindings if not binding.condition.expression}
    check(
        "bindings of one role are merged",
        members["roles/viewer"] == ["user:ada@example.com", "user:bob@example.com"] and len(kept.bindings) == 3,
        kept,
    )
    check("a binding without members is dropped", "roles/browser" not in members, kept)
    conditions = [binding.condition.title for binding in kept.bindings if binding.condition.expression]
    check("a condition is kept", conditions == ["until"] and kept.version == 3, kept)
    options = options_pb2.GetPolicyOptions(requested_policy_version=3)
    got = projects.get_iam_policy(request={"resource": resource, "options": options})
    check("get gives what set gave", got == kept, got)

    error = refused(
        "an old etag is a Conflict",
        exceptions.Conflict,
        409,
        lambda: projects.set_iam_policy(request={"resource": resource, "policy": changed}),
    )
    check("it says what to do", error and error.message.endswith(CONCURRENT), error)
    projects.set_iam_policy(request={"resource": resource, "policy": {"bindings": list(first.bindings)}})
    now = projects.get_iam_policy(resource=resource)
    check("without an etag a policy is replaced", list(now.bindings) == list(first.bindings) and now.version == 1, now)
    for what, role, member in [
        ("a role that is not there", "roles/nothing", "user:ada@example.com"),
        ("a member of no kind", "roles/viewer", "ada@example.com"),
        ("everybody", "roles/viewer", "allUsers"),
    ]:
        bad = policy_pb2.Policy(bindings=list(first.bindings), etag=now.etag)
        bad.bindings.add(role=role, members=[member])
        refused(
            f"{what} is a BadRequest",
            exceptions.BadRequest,
            400,
            lambda: projects.set_iam_policy(request={"resource": resource, "policy": bad}),
        )

    asked = ["apikeys.keys.create", "resourcemanager.projects.get", "serviceusage.services.enable"]
    held = projects.test_iam_permissions(resource=resource, permissions=asked)
    check("the owner holds what is asked for", sorted(held.permissions) == asked, held)
    wild = lambda: projects.test_iam_permissions(resource=resource, permissions=["apikeys.*"])
    refused("a wildcard permission is a BadRequest", exceptions.BadRequest, 400, wild)
    missing = lambda: projects.get_iam_policy(resource="projects/nobody-has-this")
    refused("a policy of no project is Forbidden", exceptions.Forbidden, 403, missing, "IAM_PERMISSION_DENIED")


def manage_services():
    parent = "projects/python-services"
    projects.create_project(project=resourcemanager_v3.Project(project_id="python-services")).result(timeout=30)
    State = service_usage_v1.State
    operation = services.enable_service(request={"name": f"{parent}/services/{JULES}"})
    on = operation.result(timeout=30).service
    finished = services.get_operation(request={"name": operation.operation.name})
    check("the operation can be asked for again", finished.done, finished)
    check(
        "enable gives the service",
        re.fullmatch(rf"projects/\d+/services/{JULES}", on.name) and on.state == State.ENABLED,
        on,
    )
    check("it says what it is", on.config.name == JULES and on.config.title == "Jules API", on)
    got = services.get_service(request={"name": f"{parent}/services/{JULES}"})
    check(
        "get says that it is on",
        (got.name, got.state, got.parent) == (on.name, State.ENABLED, on.name.split("/services")[0]),
        got,
    )

    batch = {"parent": parent, "service_ids": ["apikeys.googleapis.com", "serviceusage.googleapis.com"]}
    enabled = services.batch_enable_services(request=batch).result(timeout=30)
    check(
        "batch enable gives them",
        [one.config.name for one in enabled.services] == batch["service_ids"] and not enabled.failures,
        enabled,
    )
    listed = [
        one.config.name
        for one in services.list_services(request={"parent": parent, "filter": "state:ENABLED", "page_size": 1})
    ]
    check(
        "list by state goes over all pages",
        {JULES, *batch["service_ids"]} <= set(listed) and len(listed) == len(set(listed)),
        listed,
    )
    off = services.disable_service(request={"name": f"{parent}/services/{JULES}"}).result(timeout=30).service
    check("disable gives the service", (off.name, off.state) == (on.name, State.DISABLED), off)
    listed = [one.config.name for one in services.list_services(request={"parent": parent, "filter": "state:DISABLED"})]
    check("list by the other state has it", JULES in listed, listed)
    everything = [one.config.name for one in services.list_services(request={"parent": parent})]
    check("list without a filter has both", {JULES, GEMINI, *batch["service_ids"]} <= set(everything), everything)
    names = [f"{parent}/services/{JULES}", f"{parent}/services/apikeys.googleapis.com"]
    got = services.batch_get_services(request={"parent": parent, "names": names}).services
    check(
        "batch get gives both",
        [(one.config.name, one.state) for one in got]
        == [(JULES, State.DISABLED), ("apikeys.googleapis.com", State.ENABLED)],
        got,
    )

    nosuch = "nosuch.googleapis.com"
    unknown = ("SERVICE_CONFIG_NOT_FOUND_OR_PERMISSION_DENIED", "serviceusage.googleapis.com")
    refused(
        "a service that is not there is Forbidden",
        exceptions.Forbidden,
        403,
        lambda: services.enable_service(request={"name": f"{parent}/services/{nosuch}"}),
        *unknown,
    )
    both = {"parent": parent, "service_ids": [JULES, nosuch]}
    refused(
        "one of two that is not there is Forbidden",
        exceptions.Forbidden,
        403,
        lambda: services.batch_enable_services(request=both),
        *unknown,
    )
    still = services.get_service(request={"name": f"{parent}/services/{JULES}"})
    check("then neither is enabled", still.state == State.DISABLED, still)
    refused(
        "disabling what is off is a BadRequest",
        exceptions.BadRequest,
        400,
        lambda: services.disable_service(request={"name": f"{parent}/services/{JULES}"}),
    )
    refused(
        "a batch get of nothing is a BadRequest",
        exceptions.BadRequest,
        400,
        lambda: services.batch_get_services(request={"parent": parent}),
        "SU_MISSING_NAMES",
    )
    many = {"parent": parent, "service_ids": [f"s{number}.googleapis.com" for number in range(21)]}
    refused(
        "enabling more than 20 at once is a BadRequest",
        exceptions.BadRequest,
        400,
        lambda: services.batch_enable_services(request=many),
    )
    refused(
        "services of no project are Forbidden",
        exceptions.Forbidden,
        403,
        lambda: services.list_services(request={"parent": "projects/nobody-has-this"}),
    )


for part in [
    create_keys,
    read_keys,
    update_keys,
    delete_keys,
    key_mistakes,
    strangers,
    manage_projects,
    manage_policies,
    manage_services,
]:
    try:
        part()
    except Exception as error:
        failed += 1
        here = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == __file__]
        print("FAILED", part.__name__, "ended in line", here[1], repr(error), flush=True)

sys.exit(1 if failed else 0)
