# Whether a job could be set up here: the tools its runner needs, and room to write. Creates nothing that stays.
# No arguments behind the common ones.
refuse_without_means
v_folder=$orders
until [ -e "${v_folder:-/}" ] || [ -h "$v_folder" ]; do
    v_folder=${v_folder%/*}
done
v_folder=${v_folder:-/}
[ -d "$v_folder" ] || refuse unwritable "$v_folder: not a folder"
v_why=$(write_fault "$v_folder")
[ -z "$v_why" ] || refuse_because "$v_folder" "$v_why"
answer ready
