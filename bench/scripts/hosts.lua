-- GET of one host after the other. Arguments: the first part of the path, number of hosts, what comes after it.
function init(arguments)
    prepared = {}
    for number = 0, tonumber(arguments[2]) - 1 do
        local address = string.format("127.%d.%d.%d", number / 65536, number / 256 % 256, number % 256)
        prepared[number + 1] = wrk.format("GET", arguments[1] .. address .. (arguments[3] or ""))
    end
    turn = 0
end

function request()
    turn = turn % #prepared + 1
    return prepared[turn]
end
